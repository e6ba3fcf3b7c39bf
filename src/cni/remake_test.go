package main

import (
	"os"
	"path/filepath"
	"testing"
)

func TestALeaseWhoseFileIsGoneIsWrittenAgainWhileItsContainerIsThere(t *testing.T) {
	n := newNode(t, dual)
	c, gone := n.container(), n.container()
	n.add(c)
	n.add(gone)
	n.sh(t, "ip link del "+identify(gone.id, "eth0").host)
	clean := map[string]func() string{
		"sweep": n.sweepSays,
		"GC":    func() string { return n.gc(c).stderr },
	}
	for name, free := range clean {
		os.Remove(filepath.Join(n.leaseDir, "dual", "9.1.1.2"))
		contains(t, free(), "9.1.1.2 was gone", c.id+"/eth0")
		if t.Failed() {
			t.Fatal(name)
		}
		n.expectLeases("9.1.1.2", "fd01:b:0:1::2")
	}
}

func TestWipedLeasesAreWrittenAgainBeforeTheNextIsGiven(t *testing.T) {
	n := newNode(t, dual)
	c, gone := n.container(), n.container()
	n.add(c)
	n.add(gone)
	n.sh(t, "ip link del "+identify(gone.id, "eth0").host)
	for _, wiped := range []string{"", "dual", "dual/*"} {
		files, _ := filepath.Glob(filepath.Join(n.leaseDir, wiped))
		for _, file := range files {
			os.RemoveAll(file)
		}
		next := n.container()
		n.add(next)
		// no GC has run yet, but the other container's link is gone: its leases are not written again
		n.expectLeases("9.1.1.2", "9.1.1.3", "fd01:b:0:1::2", "fd01:b:0:1::3")
		n.del(next)
		n.expectLeases("9.1.1.2", "fd01:b:0:1::2")
	}
}

// wipe does what people are advised to do when addresses run out.
func (n *node) wipe() {
	files, _ := filepath.Glob(filepath.Join(n.leaseDir, "*", "*"))
	for _, file := range files {
		os.Remove(file)
	}
}

func TestWipedLeasesAreWrittenAgainEvenOfAContainerThatSomebodyIsAtWorkOn(t *testing.T) {
	n := newNode(t, dual)
	c := n.container()
	n.add(c)
	lock, err := recordsIn(n.stateDir).lock(key{c.id, "eth0"}, true)
	if err != nil {
		t.Fatal(err)
	}
	defer lock.release()
	n.wipe()
	n.add(n.container())
	n.expectLeases("9.1.1.2", "9.1.1.3", "fd01:b:0:1::2", "fd01:b:0:1::3")
}

func TestContainersThatStartTogetherAfterAWipeGetNobodysAddress(t *testing.T) {
	n := newNode(t, dcos)
	addresses := map[string]string{}
	for range 4 {
		c := n.container()
		addresses[n.add(c).IPs[0].Address.String()] = c.id
	}
	for range 8 {
		var some [6]*container
		var results [6]said
		for at := range some {
			some[at] = n.container()
		}
		n.wipe()
		n.atOnce(len(some), func(at int) { results[at] = n.call("ADD", some[at], nil) })
		for at, s := range results {
			address := s.result(t).IPs[0].Address.String()
			if holder := addresses[address]; holder != "" {
				t.Errorf("%s is given to %s, and is %s's", address, some[at].id, holder)
			}
		}
		if got := n.leases(); len(got) != 10 {
			t.Errorf("leases are %v", got)
		}
		n.atOnce(len(some), func(at int) { n.del(some[at]) })
	}
	if got := n.leases(); len(got) != 4 {
		t.Errorf("leases are %v", got)
	}
}

func TestCheckWaitsForNobody(t *testing.T) {
	n := newNode(t, dual)
	c := n.container()
	result := n.add(c)
	lock, err := recordsIn(n.stateDir).lock(key{c.id, "eth0"}, true)
	if err != nil {
		t.Fatal(err)
	}
	defer lock.release()
	if s := n.call("CHECK", c, map[string]any{"prevResult": result}); s.failed {
		t.Errorf("CHECK: %s", s.stdout)
	}
}
