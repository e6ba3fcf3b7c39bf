package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"sort"
	"strings"
	"testing"
)

// gc runs GC; the runtime's list has these containers.
func (n *node) gc(valid ...*container) said {
	n.t.Helper()
	list := []map[string]string{}
	for _, c := range valid {
		list = append(list, map[string]string{"containerID": c.id, "ifname": "eth0"})
	}
	return n.call("GC", nil, map[string]any{"cni.dev/valid-attachments": list})
}

// sweepSays runs the sweep and returns its warnings and output.
func (n *node) sweepSays() string {
	n.t.Helper()
	return n.sh(n.t, plugin+" sweep --state-dir "+n.stateDir+" --lease-dir "+n.leaseDir)
}

func (n *node) sweep() (freed []string, kept int) {
	n.t.Helper()
	var report struct {
		Freed []string
		Kept  int
	}
	out := n.sweepSays()
	for strings.HasPrefix(out, "overlaynet: ") { // warnings
		_, out, _ = strings.Cut(out, "\n")
	}
	if err := json.Unmarshal([]byte(out), &report); err != nil || strings.Count(out, "\n") != 1 {
		n.t.Fatalf("sweep printed %q: %v", out, err)
	}
	sort.Strings(report.Freed)
	return report.Freed, report.Kept
}

func (n *node) expectLeases(want ...string) {
	n.t.Helper()
	if got := n.leases(); fmt.Sprint(got) != fmt.Sprint(want) {
		n.t.Errorf("leases are %v, not %v", got, want)
	}
}

func TestGCFreesWhatTheRuntimeDoesNotListAndNothingElse(t *testing.T) {
	n := newNode(t, dcos)
	n.spoofTable()
	listed, gone, crashed := n.container(), n.container(), n.container()
	for _, c := range []*container{listed, gone, crashed} {
		n.add(c)
	}
	n.conflist = "dcos"
	others, othersGone := n.container(), n.container()
	n.add(others)
	n.add(othersGone)
	n.conflist = "overlaynet"
	crashed.end()
	n.sh(t, "ip link del "+identify(othersGone.id, "eth0").host)

	if s := n.gc(listed); s.failed || s.stdout != "" {
		t.Fatalf("GC: %s", s.stdout)
	}
	// the runtime's list decides about its own conflist, the kernel about all others
	n.expectLeases("9.0.1.2", "9.0.1.5")
	listed.reaches(t, "9.0.1.1")
	others.reaches(t, "9.0.1.1")
	elements := n.sh(t, "nft list set bridge overlaynet ports4")
	for _, c := range []*container{gone, crashed, othersGone} {
		if strings.Contains(elements, identify(c.id, "eth0").host) {
			t.Errorf("elements of %s are left: %s", c.id, elements)
		}
	}
	n.gc(listed)
	n.expectLeases("9.0.1.2", "9.0.1.5")
}

func TestGCKeepsWhatIsListedEvenIfItsLinkIsGone(t *testing.T) {
	n := newNode(t, dcos)
	c := n.container()
	n.add(c)
	n.sh(t, "ip link del "+identify(c.id, "eth0").host)
	n.gc(c)
	n.expectLeases("9.0.1.2")
}

func TestGCOfAnEmptyListFreesAllAndOfNoneRefuses(t *testing.T) {
	n := newNode(t, dcos)
	n.add(n.container())
	s := n.call("GC", nil, nil)
	if !s.failed || s.error().Code != 7 {
		t.Errorf("without a list it says %s", s.stdout)
	}
	n.expectLeases("9.0.1.2")
	n.gc()
	n.nothingLeft()
	for _, name := range []string{"cni.dev/valid-attachments", "cni.dev/attachments"} {
		n.add(n.container())
		n.call("GC", nil, map[string]any{name: nil})
		n.nothingLeft()
	}
	n.add(n.container())
	if s := n.call("GC", nil, map[string]any{"cni.dev/valid-attachments": "all"}); !s.failed {
		t.Error("a list that is none passes")
	}
	n.expectLeases("9.0.1.5")
}

func TestGCSkipsWhatIsBeingMade(t *testing.T) {
	n := newNode(t, dcos)
	c := n.container()
	n.add(c)
	lock, err := recordsIn(n.stateDir).lock(key{c.id, "eth0"}, true)
	if err != nil {
		t.Fatal(err)
	}
	n.gc()
	n.expectLeases("9.0.1.2")
	lock.release()
	n.gc()
	n.nothingLeft()
}

func TestGCGoesOnAfterAFailureAndReportsIt(t *testing.T) {
	n := newNode(t, dcos)
	stuck, gone := n.container(), n.container()
	n.add(stuck)
	n.add(gone)
	// a lease that cannot be removed
	lease := filepath.Join(n.leaseDir, "dcos", "9.0.1.2")
	n.sh(t, "chattr +i "+lease)
	defer n.try("chattr -i " + lease)
	s := n.gc()
	if !s.failed {
		t.Fatal("it reports nothing")
	}
	contains(t, s.error().Details, stuck.id, "9.0.1.2: operation not permitted")
	n.expectLeases("9.0.1.2")
	n.sh(t, "chattr -i "+lease)
	n.gc()
	n.nothingLeft()
}

func TestSweepFreesWhatARebootLeft(t *testing.T) {
	n := newNode(t, dcos, dual)
	n.add(n.container())
	n.conflist = "dcos"
	n.add(n.container())
	if freed, kept := n.sweep(); len(freed) != 0 || kept != 2 {
		t.Errorf("it freed %v and kept %d of live ones", freed, kept)
	}
	// the same node after a boot: files are unchanged, and nothing is in the kernel
	again := newNode(t, dcos, dual)
	again.stateDir, again.leaseDir = n.stateDir, n.leaseDir
	os.WriteFile(filepath.Join(n.leaseDir, "dcos", "9.0.1.99"), []byte("lost\r\neth0"), 0o600)
	freed, kept := again.sweep()
	if len(freed) != 3 || kept != 0 || freed[2] != "dcos/9.0.1.99" || !strings.HasSuffix(freed[0], "/eth0") {
		t.Errorf("it freed %v and kept %d", freed, kept)
	}
	again.nothingLeft()
}

func TestSweepSaysWhatItCannotDo(t *testing.T) {
	n := newNode(t)
	if out, err := n.try(plugin + " sweep --stat-dir x"); err == nil {
		t.Errorf("an unknown flag passes: %s", out)
	}
	out, err := n.try(plugin + " sweeep")
	if err == nil {
		t.Error("an unknown command passes")
	}
	contains(t, out, `there is no command "sweeep"`)
	if freed, kept := n.sweep(); len(freed) != 0 || kept != 0 {
		t.Errorf("of nothing, it freed %v and kept %d", freed, kept)
	}
}
