package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestLeasesWithoutARecordAreFreedOnceNobodyCanUseThem(t *testing.T) {
	n := newNode(t, dcos)
	ours := n.container()
	n.add(ours)
	write := func(address, holder string) {
		os.WriteFile(filepath.Join(n.leaseDir, "dcos", address), []byte(holder), 0o600)
	}
	write("9.0.1.77", "standard\r\neth0") // written by the standard plugins
	write("9.0.1.78", "older")            // written by older standard plugins
	write("9.0.1.79", "")                 // its writer was killed
	write("9.0.1.80", "\x00\xff")
	os.MkdirAll(filepath.Join(n.leaseDir, "foreign"), 0o755)
	os.WriteFile(filepath.Join(n.leaseDir, "foreign", "10.0.0.5"), []byte("foreign\r\neth0"), 0o600)
	all := []string{"9.0.1.2", "9.0.1.77", "9.0.1.78", "9.0.1.79", "9.0.1.80", "10.0.0.5"}

	n.sh(t, "ip link add vethstd type veth peer name vethstd2")
	n.sh(t, "ip link set vethstd master m-dcos")
	n.gc(ours)
	n.expectLeases(all...)
	n.sh(t, "ip link del vethstd")
	s := n.gc(ours)
	n.expectLeases("9.0.1.2", "10.0.0.5")
	contains(t, s.stderr, "9.0.1.79", "9.0.1.80", "names no container", ".corrupt-")
	aside, _ := filepath.Glob(filepath.Join(n.leaseDir, "dcos", "*.corrupt-*"))
	if len(aside) != 2 {
		t.Errorf("kept aside: %v", aside)
	}
	n.sh(t, "ip link del m-dcos")
	write("9.0.1.81", "standard\r\neth0")
	n.gc(ours)
	n.expectLeases("9.0.1.2", "9.0.1.81", "10.0.0.5")
}

func TestALeaseThatDoesNotNameItsLiveContainerIsWrittenAgain(t *testing.T) {
	n := newNode(t, dual)
	c, other := n.container(), n.container()
	n.add(c)
	n.add(other)
	dir := filepath.Join(n.leaseDir, "dual")
	good := c.id + "\r\neth0"
	clean := map[string]func() string{
		"sweep": n.sweepSays,
		"GC":    func() string { return n.gc(c, other).stderr },
	}
	for name, free := range clean {
		for _, text := range []string{"", c.id[:20], "\x00\xff", good + " and more of it"} {
			for _, address := range []string{"9.1.1.2", "fd01:b:0:1::2"} {
				os.WriteFile(filepath.Join(dir, address), []byte(text), 0o600)
			}
			contains(t, free(), "9.1.1.2 did not name", "fd01:b:0:1::2 did not name", c.id+"/eth0")
			for _, address := range []string{"9.1.1.2", "fd01:b:0:1::2"} {
				if got, _ := os.ReadFile(filepath.Join(dir, address)); string(got) != good {
					t.Errorf("after %s of %q the lease of %s says %q", name, text, address, got)
				}
			}
		}
	}
	// the next container would get this address
	os.WriteFile(filepath.Join(dir, "9.1.1.2"), nil, 0o600)
	os.WriteFile(filepath.Join(dir, "last_reserved_ip.0"), []byte("9.1.1.126"), 0o600)
	n.sweep()
	if got := n.add(n.container()).IPs[0].Address.IP.String(); got != "9.1.1.4" {
		t.Errorf("the next one has %s", got)
	}
	// once its container has stopped, such a lease is useless
	os.WriteFile(filepath.Join(dir, "9.1.1.2"), nil, 0o600)
	n.sh(t, "ip link del "+identify(c.id, "eth0").host)
	n.sweep()
	n.expectLeases("9.1.1.3", "9.1.1.4", "fd01:b:0:1::3", "fd01:b:0:1::4")
}

func TestARecordThatCannotBeReadBlocksNobodyAndFreesNobodyWhoIsAlive(t *testing.T) {
	n := newNode(t, dcos)
	alive, gone := n.container(), n.container()
	n.add(alive)
	n.add(gone)
	for _, record := range n.records() {
		os.WriteFile(record, []byte("{"), 0o600)
	}
	n.del(gone)
	s := n.gc(alive)
	if s.failed {
		t.Fatalf("GC: %s", s.stdout)
	}
	contains(t, s.stderr, "is corrupt", "kept, since its container is there")
	n.expectLeases("9.0.1.2")
	// the agent reads the file: without it, the agent would remove the container's permitted addresses
	if got := n.records(); len(got) != 1 || !strings.Contains(got[0], alive.id+":eth0.json") {
		t.Errorf("records are %v", got)
	}
	next := n.container()
	if got := n.add(next).IPs[0].Address.IP.String(); got != "9.0.1.4" {
		t.Errorf("the next one has %s", got)
	}
	if _, kept := n.sweep(); kept != 2 {
		t.Errorf("sweep kept %d", kept)
	}
	n.expectLeases("9.0.1.2", "9.0.1.4")
	if got := n.records(); len(got) != 2 {
		t.Errorf("records are %v", got)
	}
	n.sh(t, "ip link del "+identify(alive.id, "eth0").host)
	if s := n.gc(alive, next); !strings.Contains(s.stderr, "kept aside") {
		t.Errorf("once it is gone GC says %q", s.stderr)
	}
	n.sweep()
	n.expectLeases("9.0.1.4")
	if got := n.records(); len(got) != 1 {
		t.Errorf("records are %v", got)
	}
}

func TestAContainerWhoseRecordCannotBeReadIsRemovedWhollyByDEL(t *testing.T) {
	n := newNode(t, dual)
	n.spoofTable()
	c := n.container()
	c.id = "pod-with-dashes-" + c.id[:40]
	n.add(c)
	os.WriteFile(n.records()[0], nil, 0o600)
	n.gc(c)
	n.sweep()
	if got := n.records(); len(got) != 1 {
		t.Errorf("records are %v", got)
	}
	c.reaches(t, "9.1.1.1")
	n.del(c)
	n.nothingLeft()
	for _, set := range []string{"ports4", "ports6"} {
		if elements := n.sh(t, "nft list set bridge overlaynet "+set); strings.Contains(elements, "c-") {
			t.Errorf("elements are left: %s", elements)
		}
	}
}
