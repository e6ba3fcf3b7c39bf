package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

func TestTheAgentIsToldHowEachCommandEnded(t *testing.T) {
	n := newNode(t, dual)
	c, refused := n.container(), n.container()
	n.add(c)
	n.agent.answers(func(w http.ResponseWriter, _ question) {
		http.Error(w, `{"code":103,"msg":"this node has no block of the network"}`, http.StatusForbidden)
	})
	if failed := n.call("ADD", refused, nil).error(); failed.Code != 103 {
		t.Fatalf("the refusal is %v", failed)
	}
	n.del(c)
	want := []ending{{Command: "ADD"}, {Command: "ADD", Code: 103}, {Command: "DEL"}}
	n.agent.mutex.Lock()
	defer n.agent.mutex.Unlock()
	if len(n.agent.ended) != len(want) {
		t.Fatalf("the agent was told %v", n.agent.ended)
	}
	for at, ended := range n.agent.ended {
		if ended.Command != want[at].Command || ended.Code != want[at].Code || ended.Seconds <= 0 {
			t.Errorf("the agent was told %v, not %v", ended, want[at])
		}
	}
}

func TestWhatNoAgentCanBeToldIsKeptForTheNext(t *testing.T) {
	n := newNode(t, dual)
	c, late := n.container(), n.container()
	n.add(c)
	if err := os.Remove(n.agent.socket); err != nil {
		t.Fatal(err)
	}
	untold := n.agent.socket + untoldSuffix
	n.del(c)
	n.nothingLeft()
	if failed := n.call("ADD", late, nil).error(); failed.Code != 11 {
		t.Fatalf("the ADD without an agent failed with %v", failed)
	}
	text, err := os.ReadFile(untold)
	if err != nil {
		t.Fatal(err)
	}
	var codes []string
	for _, line := range strings.Split(strings.TrimSpace(string(text)), "\n") {
		var ended ending
		if err := json.Unmarshal([]byte(line), &ended); err != nil || ended.Seconds <= 0 {
			t.Errorf("the line is %q: %v", line, err)
		}
		codes = append(codes, fmt.Sprint(ended.Command, " ", ended.Code))
	}
	if got := strings.Join(codes, ", "); got != "DEL 0, ADD 11" {
		t.Errorf("it keeps %s", got)
	}
	// it grows to a limit, and a file of another kind holds up no command
	if err := os.WriteFile(untold, make([]byte, longestUntold), 0o600); err != nil {
		t.Fatal(err)
	}
	n.call("ADD", late, nil)
	if info, err := os.Stat(untold); err != nil || info.Size() != longestUntold {
		t.Errorf("the full file is now %v: %v", info, err)
	}
	os.Remove(untold)
	if err := unix.Mkfifo(untold, 0o600); err != nil {
		t.Fatal(err)
	}
	n.call("ADD", late, nil)
}
