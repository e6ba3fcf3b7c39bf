package main

import (
	"os"
	"slices"
	"strings"
	"testing"
)

// The sentences in docs/cni.md are exactly those that are tested.
func TestTheDocumentHasEverySentence(t *testing.T) {
	text, err := os.ReadFile("../../docs/cni.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, one := range slices.Concat(attaching, answering, watching) {
		if !strings.Contains(string(text), "\n  - "+one.words+"\n") {
			t.Errorf("docs/cni.md lacks, of %s: %s", one.section, one.words)
		}
	}
}
