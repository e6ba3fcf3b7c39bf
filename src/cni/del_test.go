package main

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestDelUndoesWhatAddMade(t *testing.T) {
	for name, before := range map[string]func(*testing.T, *node, *container){
		"in the ordinary case":    func(*testing.T, *node, *container) {},
		"while the agent is away": func(t *testing.T, n *node, c *container) { n.agent.stop() },
		"after the namespace":     func(t *testing.T, n *node, c *container) { c.end() },
		"after the link": func(t *testing.T, n *node, c *container) {
			n.sh(t, "ip link del "+identify(c.id, "eth0").host)
		},
		"after the record": func(t *testing.T, n *node, c *container) { os.Remove(n.records()[0]) },
		"after the record was corrupted": func(t *testing.T, n *node, c *container) {
			os.WriteFile(n.records()[0], []byte(`{"version":1,`), 0o600)
		},
		"after the record became one of another kind": func(t *testing.T, n *node, c *container) {
			os.WriteFile(n.records()[0], []byte(`{"version":2}`), 0o600)
		},
		"after the leases": func(t *testing.T, n *node, c *container) { os.RemoveAll(n.leaseDir) },
		"after the record and the agent's table": func(t *testing.T, n *node, c *container) {
			os.Remove(n.records()[0])
			n.sh(t, "nft delete table bridge overlaynet")
		},
		"after some of the agent's elements": func(t *testing.T, n *node, c *container) {
			n.sh(t, "nft flush set bridge overlaynet ports4")
		},
	} {
		t.Run(name, func(t *testing.T) {
			n := newNode(t, dcos, dual)
			n.spoofTable()
			other := n.container()
			n.add(other)
			keep := append(n.leases(), n.ports()...)
			c := n.container()
			n.add(c)
			before(t, n, c)
			n.del(c)
			left := append(n.leases(), n.ports()...)
			if strings.Contains(name, "leases") {
				keep, left = n.ports(), n.ports()
				if len(left) != 2 {
					t.Errorf("links are left: %v", left)
				}
			}
			if fmt.Sprint(left) != fmt.Sprint(keep) {
				t.Errorf("there is %v, not %v", left, keep)
			}
			for _, name := range []string{"eth0", "eth1"} {
				if table, err := n.try("nft list table bridge overlaynet"); err == nil && strings.Contains(table, identify(c.id, name).host) {
					t.Errorf("elements of %s are left: %s", name, table)
				}
			}
			if !strings.Contains(name, "leases") && !strings.Contains(name, "elements") {
				other.reaches(t, "9.0.1.1")
			}
			n.del(c) // again
			n.del(other)
			n.nothingLeft()
		})
	}
}

func TestDelWithoutARecordFindsTheLastOfSixteenInterfaces(t *testing.T) {
	var offers []offer
	for at := range 16 {
		offers = append(offers, offer{
			Name: fmt.Sprintf("net%d", at), Bridge: fmt.Sprintf("m-net%d", at), MTU: 1450,
			GatewayMAC: fmt.Sprintf("02:4f:4f:00:01:%02x", at),
			Ranges:     []offeredRange{{fmt.Sprintf("9.%d.1.0/25", at), fmt.Sprintf("9.%d.1.1", at)}},
		})
	}
	n := newNode(t, offers...)
	c := n.container()
	ifname := "CNI_IFNAME=eth5"
	n.call("ADD", c, nil, ifname).result(t)
	if got := len(n.ports()); got != 16 {
		t.Fatalf("there are %d ports, not 16", got)
	}
	os.Remove(n.records()[0])
	if s := n.call("DEL", c, nil, ifname); s.failed {
		t.Fatalf("DEL failed: %s %s", s.stdout, s.stderr)
	}
	n.nothingLeft()
}

func TestDelOfAContainerThatNeverWas(t *testing.T) {
	n := newNode(t, dcos)
	n.del(n.container())
	n.nothingLeft()
	if s := n.call("DEL", &container{&netns{}, "gone"}, nil); s.failed || s.stdout != "" {
		t.Errorf("without a namespace: %s", s.stdout)
	}
}

func TestDelKeepsACorruptRecordAside(t *testing.T) {
	n := newNode(t, dcos)
	c := n.container()
	n.add(c)
	record := n.records()[0]
	os.WriteFile(record, []byte("\x00\x00"), 0o600)
	s := n.call("DEL", c, nil)
	if s.failed {
		t.Fatalf("DEL failed: %s", s.stdout)
	}
	aside, _ := filepath.Glob(record + ".corrupt-*")
	if len(aside) != 1 {
		t.Fatalf("kept aside: %v", aside)
	}
	contains(t, s.stderr, record, "is corrupt", aside[0])
	n.nothingLeft()
}

func TestDelOfOneInterfaceKeepsTheContainersOthers(t *testing.T) {
	n := newNode(t, dcos)
	c := n.container()
	n.add(c)
	// the first interface has the default route already
	if second := n.call("ADD", c, nil, "CNI_IFNAME=eth1").result(t); len(second.Routes) != 0 {
		t.Errorf("the second interface has the routes %v", second.Routes)
	}
	os.Remove(filepath.Join(n.stateDir, "attachments", c.id+":eth0.json"))
	n.del(c)
	if got := n.leases(); fmt.Sprint(got) != "[9.0.1.3]" {
		t.Errorf("leases are %v", got)
	}
	if links := c.sh(t, "ip -o link show"); strings.Contains(links, "eth0") || !strings.Contains(links, "eth1") {
		t.Errorf("links are %s", links)
	}
}

func TestDelOfWhatWasNeverAttachedKeepsTheContainersOtherInterfaces(t *testing.T) {
	for name, calls := range map[string]func(*node, *container){
		"after an ADD that the agent put off": func(n *node, c *container) {
			n.agent.stop()
			if code := n.call("ADD", c, nil, "CNI_IFNAME=net1").error().Code; code != 11 {
				n.t.Errorf("ADD: code %d", code)
			}
			n.call("DEL", c, nil, "CNI_IFNAME=net1")
		},
		"asked twice": func(n *node, c *container) {
			n.agent.answers(func(w http.ResponseWriter, q question) { writeNetworks(w, reply(q, []offer{six})) })
			n.call("ADD", c, nil, "CNI_IFNAME=net1").result(n.t)
			n.call("DEL", c, nil, "CNI_IFNAME=net1")
			n.call("DEL", c, nil, "CNI_IFNAME=net1")
		},
		"of a name that is another attachment's": func(n *node, c *container) {
			if s := n.call("ADD", c, nil, "CNI_IFNAME=eth1"); !s.failed {
				n.t.Errorf("ADD: %s", s.stdout)
			}
			n.call("DEL", c, nil, "CNI_IFNAME=eth1")
		},
		"of a name that is another attachment's, whose record cannot be read": func(n *node, c *container) {
			os.WriteFile(n.records()[0], []byte("{"), 0o600)
			n.call("DEL", c, nil, "CNI_IFNAME=eth1")
			n.call("DEL", c, nil, "CNI_IFNAME=net1")
		},
		"by an ADD over a record that cannot be read": func(n *node, c *container) {
			os.WriteFile(recordsIn(n.stateDir).path(key{c.id, "net1"}), []byte("{"), 0o600)
			n.agent.answers(func(w http.ResponseWriter, q question) { writeNetworks(w, reply(q, []offer{six})) })
			n.call("ADD", c, nil, "CNI_IFNAME=net1").result(n.t)
			n.call("DEL", c, nil, "CNI_IFNAME=net1")
		},
		"once the records are lost": func(n *node, c *container) {
			os.RemoveAll(n.stateDir)
			n.call("DEL", c, nil, "CNI_IFNAME=net1")
		},
	} {
		t.Run(name, func(t *testing.T) {
			n := newNode(t, dcos, dual)
			n.bridge(six)
			n.spoofTable()
			c := n.container()
			n.add(c)
			want := fmt.Sprint(n.leases(), n.ports(), n.sh(t, "nft list set bridge overlaynet ports4"))
			calls(n, c)
			if got := fmt.Sprint(n.leases(), n.ports(), n.sh(t, "nft list set bridge overlaynet ports4")); got != want {
				t.Errorf("there is %s, not %s", got, want)
			}
			c.reaches(t, "9.0.1.1")
			c.reaches(t, "fd01:b:0:1::1")
			n.del(c)
			n.nothingLeft()
		})
	}
}

func TestDelSparesLeasesOfOtherPlugins(t *testing.T) {
	n := newNode(t, dcos)
	c := n.container()
	foreign := filepath.Join(n.leaseDir, "cbr0", "10.0.0.5")
	os.MkdirAll(filepath.Dir(foreign), 0o755)
	os.WriteFile(foreign, []byte(c.id+"\r\neth0"), 0o600)
	n.add(c)
	os.Remove(n.records()[0])
	n.del(c)
	n.expectLeases("10.0.0.5")
	// a bridge with that name that is not ours
	n.sh(t, "ip link add m-cbr0 type bridge")
	n.del(c)
	n.expectLeases("10.0.0.5")
}

func TestNoTwoAttachmentsShareARecord(t *testing.T) {
	n := newNode(t, dcos)
	a, b := n.container(), n.container()
	a.id, b.id = "a-b", "a"
	n.call("ADD", a, nil, "CNI_IFNAME=c").result(t)
	n.call("ADD", b, nil, "CNI_IFNAME=b-c").result(t)
	if got := n.records(); len(got) != 2 {
		t.Errorf("records are %v", got)
	}
	if s := n.call("DEL", b, nil, "CNI_IFNAME=b-c"); s.failed {
		t.Errorf("DEL: %s", s.stdout)
	}
	n.expectLeases("9.0.1.2")
	n.reaches(t, "9.0.1.2")
	n.call("DEL", a, nil, "CNI_IFNAME=c")
	n.nothingLeft()
}

func TestAFailedAddLeavesNothing(t *testing.T) {
	for name, one := range map[string]struct {
		before func(*node, *container)
		words  string
	}{
		"because a bridge is missing": {func(n *node, c *container) { n.sh(n.t, "ip link del m-dual") },
			"network dual: the bridge is missing: link m-dual: no such device"},
		"because the container has such an interface": {func(n *node, c *container) { c.sh(n.t, "ip link add eth1 type bridge") },
			"network dual: interface eth1 exists already in the container"},
		"because the kernel refuses an address": {func(n *node, c *container) {
			n.agent.answers(func(w http.ResponseWriter, q question) {
				wrong := dual
				wrong.Ranges = []offeredRange{{"ff05::/80", "ff05::1"}}
				offered := reply(q, []offer{dcos, wrong})
				writeNetworks(w, offered)
			})
		}, "network dual: add address ff05::2/80: "},
		"because the second network is full": {func(n *node, c *container) {
			n.agent.answers(func(w http.ResponseWriter, q question) {
				full := dual
				full.Ranges = []offeredRange{{"9.1.1.0/30", "9.1.1.1"}}
				writeNetworks(w, reply(q, []offer{dcos, full}))
			})
			os.MkdirAll(filepath.Join(n.leaseDir, "dual"), 0o755)
			os.WriteFile(filepath.Join(n.leaseDir, "dual", "9.1.1.2"), []byte("another\r\neth0"), 0o600)
		}, "network dual: no address is left on this node: all 1 of 9.1.1.0/30 are leased"},
	} {
		t.Run(name, func(t *testing.T) {
			n := newNode(t, dcos, dual)
			n.spoofTable()
			c := n.container()
			one.before(n, c)
			s := n.call("ADD", c, nil)
			if !s.failed {
				t.Fatalf("it succeeded: %s", s.stdout)
			}
			contains(t, s.error().Msg, one.words)
			if strings.Contains(s.stdout, `\n`) {
				t.Errorf("the message has several lines: %s", s.stdout)
			}
			os.Remove(filepath.Join(n.leaseDir, "dual", "9.1.1.2"))
			n.nothingLeft()
			if elements := n.sh(t, "nft list table bridge overlaynet"); strings.Contains(elements, "elements") {
				t.Errorf("elements are left: %s", elements)
			}
		})
	}
}

func TestAFailedAddSparesWhatWasThereBefore(t *testing.T) {
	n := newNode(t, dcos)
	c := n.container()
	// made by the standard plugins, in a conflist of the same network
	c.sh(t, "ip link add eth0 type bridge")
	os.MkdirAll(filepath.Join(n.leaseDir, "dcos"), 0o755)
	os.WriteFile(filepath.Join(n.leaseDir, "dcos", "9.0.1.7"), []byte(c.id+"\r\neth0"), 0o600)
	if s := n.call("ADD", c, nil); !s.failed {
		t.Errorf("it says %s", s.stdout)
	}
	c.sh(t, "ip link show eth0")
	n.expectLeases("9.0.1.7")
	if len(n.records()) != 0 {
		t.Errorf("records are %v", n.records())
	}
}
