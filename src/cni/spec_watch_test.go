package main

import (
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	current "github.com/containernetworking/cni/pkg/types/100"
)

// watching are the sentences about CHECK, STATUS, VERSION and GC.
var watching = []sentence{
	{"CHECK", "The plugin must consult the prevResult to determine the expected interfaces and addresses.", func(t *testing.T, n *node) {
		c := n.container()
		result := n.add(c)
		if s := n.call("CHECK", c, nil); s.error().Code != 7 {
			t.Errorf("without prevResult: %s", s.stdout)
		}
		result.IPs[0].Address.IP = []byte{9, 1, 1, 99}
		contains(t, n.call("CHECK", c, map[string]any{"prevResult": result}).error().Msg, "does not have 9.1.1.99/25")
	}},
	{"CHECK", "The plugin must allow for a later chained plugin to have modified networking resources, e.g. routes, on ADD.", func(t *testing.T, n *node) {
		checked(t, n, true, func(c *container, result *current.Result) {
			c.sh(t, "ip route del default")
			result.Routes = result.Routes[1:]
		})
	}},
	{"CHECK", "The plugin should return an error if a resource included in the CNI Result type (interface, address or route) was created by the plugin, and is listed in prevResult, but is missing or in an invalid state.", func(t *testing.T, n *node) {
		checked(t, n, false, func(c *container, _ *current.Result) { c.sh(t, "ip link set eth0 down") })
		checked(t, n, false, func(c *container, _ *current.Result) { c.sh(t, "ip address flush dev eth0") })
		checked(t, n, false, func(c *container, _ *current.Result) { c.sh(t, "ip -6 route del default") })
	}},
	{"CHECK", "The plugin should return an error if other resources not tracked in the Result type such as the following are missing or are in an invalid state: Firewall rules.", func(t *testing.T, n *node) {
		n.spoofTable()
		checked(t, n, false, func(*container, *current.Result) { n.sh(t, "nft flush set bridge overlaynet ports4") })
	}},
	{"CHECK", "(the same) Traffic shaping controls. (It makes none: they are the bandwidth plugin's.)", func(t *testing.T, n *node) {
		checked(t, n, true, func(c *container, _ *current.Result) {
			n.sh(t, "tc qdisc add dev "+identify(c.id, "eth0").host+" root tbf rate 1mbit burst 32kbit latency 50ms")
		})
	}},
	{"CHECK", "(the same) IP reservations.", func(t *testing.T, n *node) {
		checked(t, n, false, func(*container, *current.Result) { os.RemoveAll(n.leaseDir) })
	}},
	{"CHECK", "(the same) External dependencies such as a daemon required for connectivity.", func(t *testing.T, n *node) {
		// an existing connection does not need the agent: CHECK passes without it
		checked(t, n, true, func(c *container, _ *current.Result) {
			n.agent.stop()
			c.reaches(t, "9.1.1.1")
		})
	}},
	{"CHECK", "The plugin should return an error if it is aware of a condition where the container is generally unreachable.", func(t *testing.T, n *node) {
		checked(t, n, false, func(c *container, _ *current.Result) {
			n.sh(t, "ip link set "+identify(c.id, "eth0").host+" nomaster")
		})
		checked(t, n, false, func(*container, *current.Result) { n.sh(t, "ip link set m-dual down") })
	}},
	{"CHECK", "The plugin must handle CHECK being called immediately after an ADD, and therefore should allow a reasonable convergence delay for any asynchronous resources.", func(t *testing.T, n *node) {
		for range 5 {
			checked(t, n, true, func(*container, *current.Result) {})
		}
	}},
	{"CHECK", "Required environment parameters: CNI_COMMAND, CNI_CONTAINERID, CNI_NETNS, CNI_IFNAME.", func(t *testing.T, n *node) {
		missing(t, n, "CHECK", "CNI_CONTAINERID", "CNI_NETNS", "CNI_IFNAME")
	}},
	{"STATUS", "A plugin must exit with a zero (success) return code if the plugin is ready to service ADD requests.", func(t *testing.T, n *node) {
		n.ready()
		if s := n.call("STATUS", nil, nil); s.failed || s.stdout != "" {
			t.Errorf("STATUS: %s", s.stdout)
		}
	}},
	{"STATUS", "If the plugin knows that it is not able to service ADD requests, it must exit with a non-zero return code and output an error on standard out.", func(t *testing.T, n *node) {
		if s := n.call("STATUS", nil, nil); !s.failed || s.error().Msg == "" {
			t.Errorf("STATUS: %s", s.stdout)
		}
	}},
	{"STATUS", "Optional environment parameters: CNI_PATH.", func(t *testing.T, n *node) {
		n.ready()
		if s := n.call("STATUS", nil, nil, "CNI_PATH="); s.failed {
			t.Errorf("STATUS: %s", s.stdout)
		}
	}},
	{"STATUS", "50: The plugin is not available (i.e. cannot service ADD requests).", func(t *testing.T, n *node) {
		if code := n.call("STATUS", nil, nil).error().Code; code != 50 {
			t.Errorf("before the first complete data path: code %d", code)
		}
		os.WriteFile(filepath.Join(n.dir, "complete"), []byte("00000000-0000-0000-0000-000000000000"), 0o644)
		if s := n.call("STATUS", nil, nil); s.error().Code != 50 || !strings.Contains(s.error().Details, "another boot") {
			t.Errorf("after a reboot: %s", s.stdout)
		}
	}},
	{"STATUS", "If a plugin has a limited number of resources (e.g. IP addresses, hardware queues), it should return an error if those resources are exhausted. (A deviation.)", func(t *testing.T, n *node) {
		n.ready()
		n.agent.answers(func(w http.ResponseWriter, q question) {
			full := dual
			full.Ranges = []offeredRange{{"9.1.1.0/30", "9.1.1.1"}}
			writeNetworks(w, reply(q, []offer{full}))
		})
		n.add(n.container())
		if s := n.call("ADD", n.container(), nil); s.error().Code != subnetFull {
			t.Errorf("ADD: %s", s.stdout)
		}
		if s := n.call("STATUS", nil, nil); s.failed {
			t.Errorf("STATUS: %s", s.stdout)
		}
	}},
	{"STATUS", "If a plugin relies on an external service or daemon, it should return an error to STATUS if that service is unavailable. (A deviation.)", func(t *testing.T, n *node) {
		n.ready()
		n.agent.stop()
		if s := n.call("STATUS", nil, nil); s.failed {
			t.Errorf("STATUS: %s", s.stdout)
		}
		if s := n.call("ADD", n.container(), nil); s.error().Code != 11 {
			t.Errorf("ADD: %s", s.stdout)
		}
	}},
	{"STATUS", "Status is purely informational. A plugin MUST NOT rely on STATUS being called.", func(t *testing.T, n *node) { n.add(n.container()) }},
	{"STATUS", "Plugins should always expect other CNI operations (like ADD, DEL, etc) even if STATUS returns an error.", func(t *testing.T, n *node) {
		if s := n.call("STATUS", nil, nil); !s.failed {
			t.Error("STATUS succeeds")
		}
		c := n.container()
		n.add(c)
		n.del(c)
		n.nothingLeft()
	}},
	{"VERSION", "The plugin should output via standard-out a json-serialized version result object.", versionCommand},
	{"GC", "A plugin SHOULD remove as many stale resources as possible. For example, a plugin should remove any IPAM reservations associated with attachments not in the provided list.", func(t *testing.T, n *node) {
		n.spoofTable()
		kept, stale := n.container(), n.container()
		n.add(kept)
		n.add(stale)
		n.gc(kept)
		n.expectLeases("9.1.1.2", "fd01:b:0:1::2")
		if ports := n.ports(); len(ports) != 1 || strings.Contains(n.sh(t, "nft list table bridge overlaynet"), identify(stale.id, "eth0").host) {
			t.Errorf("ports are %v", ports)
		}
	}},
	{"GC", "The plugin MAY assume that the isolation domain (e.g. network namespace) has been deleted, and thus any resources (e.g. network interfaces) therein have been removed.", func(t *testing.T, n *node) {
		there := n.container()
		n.add(there) // the plugin does not assume it: it removes this container's link
		n.gc()
		if links := there.sh(t, "ip -o link show"); strings.Contains(links, "eth0") {
			t.Errorf("there is %s", links)
		}
	}},
	{"GC", "Plugins should generally complete a GC action without error.", func(t *testing.T, n *node) {
		gone := n.container()
		n.add(gone)
		gone.end()
		os.RemoveAll(n.leaseDir)
		if s := n.gc(); s.failed {
			t.Errorf("GC: %s", s.stdout)
		}
		n.nothingLeft()
	}},
	{"GC", "If an error is encountered, a plugin should continue; removing as many resources as possible, and report the errors back to the runtime.", wholeTest(TestGCGoesOnAfterAFailureAndReportsIt)},
	{"GC", "Plugins may be unable to clean up some resources from GC that they would have been able to clean up from DEL.", func(t *testing.T, n *node) {
		c := n.container()
		n.add(c)
		lock, err := recordsIn(n.stateDir).lock(key{c.id, "eth0"}, true)
		if err != nil {
			t.Fatal(err)
		}
		n.gc()
		lock.release()
		n.del(c)
		n.nothingLeft()
	}},
	{"GC", "Required environment parameters: CNI_COMMAND, CNI_PATH.", func(t *testing.T, n *node) {
		n.add(n.container())
		s := n.call("GC", nil, map[string]any{"cni.dev/valid-attachments": []string{}}, "CNI_PATH=")
		if s.error().Code != 4 || !strings.Contains(s.error().Msg, "CNI_PATH") {
			t.Errorf("without CNI_PATH it says %s", s.stdout)
		}
		n.expectLeases("9.1.1.2", "fd01:b:0:1::2")
		n.gc()
		n.nothingLeft()
	}},
	{"GC", "No output on success, \"error\" result structure on error.", func(t *testing.T, n *node) {
		if s := n.gc(); s.failed || s.stdout != "" {
			t.Errorf("GC: %s", s.stdout)
		}
		if s := n.call("GC", nil, nil); s.error().Code != 7 {
			t.Errorf("GC without a list: %s", s.stdout)
		}
	}},
}

// checked adds a container, makes a change, and compares the result of CHECK.
func checked(t *testing.T, n *node, well bool, change func(*container, *current.Result)) {
	t.Helper()
	c := n.container()
	result := n.add(c)
	change(c, result)
	if s := n.call("CHECK", c, map[string]any{"prevResult": result}); s.failed == well {
		t.Errorf("CHECK: %v %s", s.failed, s.stdout)
	}
	n.del(c)
}
