package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// Faults that others caused must keep no container from ending.

func TestDelRemovesALinkWhoseElementsCannotBeRemoved(t *testing.T) {
	n := newNode(t, dcos)
	n.spoofTable()
	c := n.container()
	n.add(c)
	n.sh(t, "nft delete table bridge overlaynet")
	n.sh(t, "nft add table bridge overlaynet")
	n.sh(t, "nft add set bridge overlaynet ports4 { type ether_addr; }")
	s := n.call("DEL", c, nil)
	if s.failed {
		t.Fatalf("DEL failed: %s", s.stdout)
	}
	contains(t, s.stderr, "could not be removed")
	n.nothingLeft()
}

func TestDelAndGCNeedNoMoreOfAConflistThanItsDirectories(t *testing.T) {
	for name, broken := range map[string]map[string]any{
		"a relative socket":              {"socket": "x"},
		"a number for a network":         {"network": 7},
		"a network with a path":          {"network": "../x"},
		"a runtimeConfig that is a list": {"runtimeConfig": []string{"x"}},
	} {
		t.Run(name, func(t *testing.T) {
			n := newNode(t, dcos)
			for _, command := range []string{"DEL", "GC"} {
				c := n.container()
				n.add(c)
				broken["cni.dev/valid-attachments"] = []string{}
				if s := n.call(command, c, broken); s.failed {
					t.Fatalf("%s failed: %s", command, s.stdout)
				}
				n.nothingLeft()
			}
		})
	}
}

func TestARuntimeThatGoesAwayLeavesNoAttachment(t *testing.T) {
	n := newNode(t, dcos)
	c := n.container()
	for _, stream := range []string{"stdout", "stderr"} {
		t.Run(stream, func(t *testing.T) {
			cmd, _ := n.prepare("ADD", c, nil)
			closed := closedPipe(t)
			cmd.Stdout = closed
			if stream == "stderr" {
				cmd.Stderr = closed
			}
			if err := n.start(cmd); err != nil {
				t.Fatal(err)
			}
			if err := cmd.Wait(); err == nil || cmd.ProcessState.ExitCode() != 1 {
				t.Errorf("it ended with %v", err)
			}
			n.nothingLeft()
		})
	}
}

func TestDelOfARecordThatCannotBeReadIsDoneThoughNobodyReadsWhatItSays(t *testing.T) {
	n := newNode(t, dcos)
	c := n.container()
	n.add(c)
	os.WriteFile(n.records()[0], []byte("{"), 0o600)
	cmd, _ := n.prepare("DEL", c, nil)
	cmd.Stderr = closedPipe(t)
	if err := n.start(cmd); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Wait(); err != nil {
		t.Error(err)
	}
	if left := append(n.leases(), n.ports()...); len(left) > 0 {
		t.Errorf("there is %v", left)
	}
}

func closedPipe(t *testing.T) *os.File {
	read, write, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	read.Close()
	t.Cleanup(func() { write.Close() })
	return write
}

func TestAKernelBootedWithoutIPv6IsToldNothingOfIt(t *testing.T) {
	n := newNode(t, dcos)
	// a kernel without IPv6 has no directory of that name; this one hides it from the program
	if err := unix.Mount("tmpfs", "/proc/sys/net", "tmpfs", 0, ""); err != nil {
		t.Fatal(err)
	}
	c := n.container()
	s := n.call("ADD", c, nil)
	if err := unix.Unmount("/proc/sys/net", 0); err != nil {
		t.Fatal(err)
	}
	s.result(t)
	for _, link := range []string{n.sh(t, "ip -d link show "+identify(c.id, "eth0").host), c.sh(t, "ip -d link show eth0")} {
		if strings.Contains(link, "addrgenmode none") {
			t.Errorf("it was told how addresses of IPv6 come: %s", link)
		}
	}
	c.reaches(t, "9.0.1.1")
	n.del(c)
	n.nothingLeft()
}

func TestOutsideKubernetesAPodsNameIsNobodysBusiness(t *testing.T) {
	n := newNode(t, dcos)
	// as Podman calls the plugin for its containers
	n.call("ADD", n.container(), nil, "CNI_ARGS=IgnoreUnknown=1;K8S_POD_NAME=happy_turing").result(t)
	if got := n.agent.received[0]; got.Pod != "" || got.Namespace != "" {
		t.Errorf("asked %+v", got)
	}
}

func TestDelFreesAnAddressWhoseLeaseNamesNobody(t *testing.T) {
	n := newNode(t, dcos)
	c, other := n.container(), n.container()
	n.add(c)
	n.add(other)
	lease := filepath.Join(n.leaseDir, "dcos", "9.0.1.2")
	os.WriteFile(lease, []byte("\x00\x01"), 0o600)
	n.del(c)
	if _, err := os.Stat(lease); err == nil {
		t.Error("it is there")
	}
	// an address that another container has by now stays leased
	os.WriteFile(filepath.Join(n.leaseDir, "dcos", "9.0.1.3"), []byte("someone\neth0"), 0o600)
	n.del(other)
	if left := n.leases(); len(left) != 1 || left[0] != "9.0.1.3" {
		t.Errorf("leases are %v", left)
	}
}

func TestAnAddressStaysLeasedWhileItsLinkCannotBeRemoved(t *testing.T) {
	n := newNode(t, dcos)
	c := n.container()
	n.add(c)
	// the record names a link that cannot be removed: the loopback
	const stuck = "c-aaaaaaaaaaaa"
	n.sh(t, "ip link set lo down")
	n.sh(t, "ip link set lo name "+stuck)
	text, _ := os.ReadFile(n.records()[0])
	os.WriteFile(n.records()[0], bytes.ReplaceAll(text, []byte(identify(c.id, "eth0").host), []byte(stuck)), 0o600)
	if s := n.call("DEL", c, nil); !s.failed {
		t.Error("DEL succeeded")
	}
	if left := n.leases(); len(left) != 1 || len(n.records()) != 1 {
		t.Errorf("leases are %v, records %v", left, n.records())
	}
}

func TestGCKeepsTheLeaseOfAListedAttachmentWithoutRecordAndPort(t *testing.T) {
	n := newNode(t, dcos)
	c := n.container()
	n.add(c)
	os.Remove(n.records()[0])
	n.sh(t, "ip link del "+identify(c.id, "eth0").host)
	n.gc(c)
	if left := n.leases(); len(left) != 1 {
		t.Errorf("leases are %v", left)
	}
	n.gc()
	n.nothingLeft()
}

func TestGCJudgesAnAttachmentAsItIsOnceNobodyChangesIt(t *testing.T) {
	n := newNode(t, dcos)
	c := n.container()
	n.add(c)
	asRead, err := recordsIn(n.stateDir).read(key{c.id, "eth0"})
	if err != nil {
		t.Fatal(err)
	}
	// after GC has read the records, another conflist makes the attachment anew; the runtime's list does not contain it
	n.del(c)
	n.conflist = "dcos"
	n.add(c)
	r := &reaper{conf: &config{StateDir: n.stateDir, LeaseDir: n.leaseDir}, conflist: "overlaynet", valid: map[key]bool{}}
	if err := n.do(func() error { return r.judge(asRead) }); err != nil {
		t.Error(err)
	}
	c.reaches(t, "9.0.1.1")
	if r.kept != 1 || len(n.leases()) != 1 || len(n.records()) != 1 {
		t.Errorf("it kept %d; leases are %v, records %v", r.kept, n.leases(), n.records())
	}
}

func TestGCRemovesRecordsThatWereNeverFinished(t *testing.T) {
	n := newNode(t, dcos)
	c := n.container()
	n.add(c)
	unfinished := filepath.Join(n.stateDir, "attachments", ".cafe:eth0.json")
	os.WriteFile(unfinished, []byte("{"), 0o600)
	n.gc(c)
	if _, err := os.Stat(unfinished); err == nil {
		t.Error("it is there")
	}
}
