package main

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// specification has every sentence of the CNI specification 1.1.0 that demands something of a plugin that creates
// interfaces, and a test of it. It leaves out sentences about runtimes, and about plugins that other plugins run
// (IPAM): this plugin leases addresses in its own process.
//
// Two deviations: STATUS fails neither when a subnet is full nor while the agent is away, once the data path was
// complete. A runtime would set the node NotReady and evict its pods, those of other networks too. Instead ADD fails:
// for that network alone, or until the agent is back.
var specification = slices.Concat(attaching, watching, answering)

type sentence struct {
	section string
	words   string
	holds   func(*testing.T, *node)
}

var attaching = []sentence{
	{"Configuration", "Plugin configuration objects may contain additional fields beyond the ones defined here.", func(t *testing.T, n *node) {
		n.call("ADD", n.container(), map[string]any{"mine": map[string]int{"x": 1}}).result(t)
	}},
	{"Configuration", "dns: Plugins that consume any of these configuration keys should respect their intended semantics.", func(t *testing.T, n *node) {
		result := n.call("ADD", n.container(), map[string]any{"dns": map[string]any{"nameservers": []string{"9.1.1.1"}}}).result(t)
		if !slices.Equal(result.DNS.Nameservers, []string{"9.1.1.1"}) {
			t.Errorf("dns is %v", result.DNS)
		}
		before := map[string]any{"cniVersion": "1.1.0", "ips": []map[string]any{{"address": "10.0.0.2/24"}}}
		result = n.call("ADD", n.container(), map[string]any{"prevResult": before, "dns": map[string]any{"search": []string{"shop"}}}).result(t)
		if !slices.Equal(result.DNS.Search, []string{"shop"}) {
			t.Errorf("behind a plugin without dns it is %v", result.DNS)
		}
	}},
	{"Version considerations", "Plugins indicate their set of supported versions through the VERSION command.", versionCommand},
	{"Parameters", "CNI_CONTAINERID: Must not be empty.", func(t *testing.T, n *node) {
		missing(t, n, "ADD", "CNI_CONTAINERID")
		missing(t, n, "DEL", "CNI_CONTAINERID")
		missing(t, n, "CHECK", "CNI_CONTAINERID")
	}},
	{"Parameters", "CNI_CONTAINERID: Must start with an alphanumeric character, optionally followed by any combination of one or more alphanumeric characters, underscore (), dot (.) or hyphen (-).", func(t *testing.T, n *node) {
		if s := n.call("ADD", n.container(), nil, "CNI_CONTAINERID=-x"); s.error().Code != 4 {
			t.Errorf("it says %s", s.stdout)
		}
		n.call("ADD", n.container(), nil, "CNI_CONTAINERID=0a_b.c-d").result(t)
	}},
	{"Parameters", "CNI_NETNS: If using network namespaces, then a path to the network namespace.", func(t *testing.T, n *node) {
		c := n.container()
		n.add(c)
		contains(t, c.sh(t, "ip -o link show eth0"), "eth0")
	}},
	{"Parameters", "CNI_IFNAME: Name of the interface to create inside the container; if the plugin is unable to use this interface name it must return an error.", func(t *testing.T, n *node) {
		c := n.container()
		n.call("ADD", c, nil, "CNI_IFNAME=net7").result(t)
		contains(t, c.sh(t, "ip -o link show net7"), "net7")
		if s := n.call("ADD", c, nil, "CNI_IFNAME=a:b"); !s.failed {
			t.Errorf("it takes a:b: %s", s.stdout)
		}
	}},
	{"Parameters", "CNI_ARGS: Extra arguments passed in by the user at invocation time. Alphanumeric key-value pairs separated by semicolons.", func(t *testing.T, n *node) {
		n.call("ADD", n.container(), nil, "CNI_ARGS=FOO=BAR;ABC=123").result(t)
	}},
	{"Errors", "A plugin must exit with a return code of 0 on success, and non-zero on failure.", func(t *testing.T, n *node) {
		c := n.container()
		if n.call("ADD", c, nil).failed || !n.call("ADD", c, nil).failed || n.call("DEL", c, nil).failed {
			t.Error("the exit status is wrong")
		}
	}},
	{"Errors", "If the plugin encounters an error, it should output an \"error\" result structure.", errorStructure},
	{"ADD", "A CNI plugin, upon receiving an ADD command, should create the interface defined by CNI_IFNAME inside the container at CNI_NETNS.", func(t *testing.T, n *node) {
		c := n.container()
		n.add(c)
		contains(t, c.sh(t, "ip -o link show eth0"), "eth0")
	}},
	{"ADD", "If the CNI plugin is successful, it must output a result structure on standard out.", func(t *testing.T, n *node) { n.add(n.container()) }},
	{"ADD", "If the plugin was supplied a prevResult as part of its input configuration, it MUST handle prevResult by either passing it through, or modifying it appropriately.", func(t *testing.T, n *node) {
		before := map[string]any{"cniVersion": "1.1.0", "interfaces": []map[string]any{{"name": "first0", "sandbox": "/x"}},
			"ips": []map[string]any{{"address": "10.0.0.2/24", "interface": 0}}}
		result := n.call("ADD", n.container(), map[string]any{"prevResult": before}).result(t)
		if len(result.Interfaces) != 4 || result.Interfaces[0].Name != "first0" || len(result.IPs) != 3 || *result.IPs[1].Interface != 3 {
			t.Errorf("the result is %+v", result)
		}
	}},
	{"ADD", "If an interface of the requested name already exists in the container, the CNI plugin MUST return with an error.", func(t *testing.T, n *node) {
		c := n.container()
		c.sh(t, "ip link add eth0 type bridge")
		contains(t, n.call("ADD", c, nil).error().Msg, "interface eth0 exists already in the container")
		c.sh(t, "ip link show eth0") // and is still there
		n.nothingLeft()
	}},
	{"ADD", "A runtime should not call ADD twice (without an intervening DEL) for the same (CNI_CONTAINERID, CNI_IFNAME) tuple. This implies that a given container ID may be added to a specific network more than once only if each addition is done with a different interface name.", func(t *testing.T, n *node) {
		c := n.container()
		n.add(c)
		if s := n.call("ADD", c, nil); !s.failed {
			t.Error("a second ADD of the same interface succeeds")
		}
		n.call("ADD", c, nil, "CNI_IFNAME=eth1").result(t)
		c.reaches(t, "9.1.1.1")
	}},
	{"ADD", "Required environment parameters: CNI_COMMAND, CNI_CONTAINERID, CNI_NETNS, CNI_IFNAME.", func(t *testing.T, n *node) {
		missing(t, n, "ADD", "CNI_CONTAINERID", "CNI_NETNS", "CNI_IFNAME")
	}},
	{"DEL", "A CNI plugin, upon receiving a DEL command, should delete the interface defined by CNI_IFNAME inside the container at CNI_NETNS.", func(t *testing.T, n *node) {
		c := n.container()
		n.add(c)
		n.del(c)
		if links := c.sh(t, "ip -o link show"); strings.Contains(links, "eth0") {
			t.Errorf("there is %s", links)
		}
	}},
	{"DEL", "Plugins should still return without error if prevResult is empty for a DEL command, however.", func(t *testing.T, n *node) {
		c := n.container()
		n.add(c)
		if s := n.call("DEL", c, map[string]any{"prevResult": map[string]any{}}); s.failed {
			t.Errorf("DEL: %s", s.stdout)
		}
		n.nothingLeft()
		n.add(c)
		n.del(c)
		n.nothingLeft()
	}},
	{"DEL", "Plugins should always complete a DEL action without error to the fullest extent possible, even if some resources or state are missing.", func(t *testing.T, n *node) {
		c := n.container()
		n.add(c)
		n.sh(t, "ip link del "+identify(c.id, "eth0").host)
		os.Remove(filepath.Join(n.leaseDir, "dual", "9.1.1.2"))
		n.sh(t, "ip link del m-dual")
		n.agent.stop()
		n.del(c)
		n.nothingLeft()
	}},
	{"DEL", "An IPAM plugin should generally release an IP allocation and return success even if the container network namespace no longer exists.", func(t *testing.T, n *node) {
		c := n.container()
		n.add(c)
		c.end()
		if s := n.call("DEL", c, nil, "CNI_NETNS=/var/run/netns/gone"); s.failed {
			t.Errorf("DEL: %s", s.stdout)
		}
		n.nothingLeft()
	}},
	{"DEL", "Plugins MUST accept multiple DEL calls for the same (CNI_CONTAINERID, CNI_IFNAME) pair, and return success if the interface in question, or any modifications added, are missing.", func(t *testing.T, n *node) {
		c := n.container()
		n.add(c)
		for range 3 {
			n.del(c)
		}
		n.nothingLeft()
	}},
	{"DEL", "Required environment parameters: CNI_COMMAND, CNI_CONTAINERID, CNI_IFNAME. Optional: CNI_NETNS, CNI_PATH.", func(t *testing.T, n *node) {
		missing(t, n, "DEL", "CNI_CONTAINERID", "CNI_IFNAME")
		for _, variable := range []string{"CNI_NETNS=", "CNI_PATH="} {
			if s := n.call("DEL", n.container(), nil, variable); s.failed {
				t.Errorf("without %s %s", variable, s.stdout)
			}
		}
	}},
}

func TestSpecification(t *testing.T) {
	for _, one := range specification {
		t.Run(one.section+": "+one.words, func(t *testing.T) { one.holds(t, newNode(t, dual)) })
	}
}

// wholeTest uses a whole test as the test of one sentence.
func wholeTest(test func(*testing.T)) func(*testing.T, *node) {
	return func(t *testing.T, _ *node) { test(t) }
}

// missing runs the command several times; each time another required variable is missing.
func missing(t *testing.T, n *node, command string, names ...string) {
	t.Helper()
	for _, name := range names {
		s := n.call(command, n.container(), map[string]any{"prevResult": map[string]any{"cniVersion": "1.1.0"}}, name+"=")
		if s.error().Code != 4 || !strings.Contains(s.error().Msg, name) {
			t.Errorf("%s without %s says %s", command, name, s.stdout)
		}
	}
	// a person runs the program by hand: it prints what it is, and does nothing
	s := n.call("", n.container(), nil, "CNI_IFNAME=eth0")
	if s.stdout != "" || s.failed {
		t.Errorf("without CNI_COMMAND it says %s", s.stdout)
	}
	contains(t, s.stderr, "CNI plugin of overlaynet")
	n.nothingLeft()
}
