package main

import (
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"strings"
	"testing"
)

func TestNamesWithAPathInThemAreRefusedBeforeAnythingIsWritten(t *testing.T) {
	for variable, words := range map[string]string{
		"CNI_CONTAINERID=../../etc/passwd":                                         "containerID",
		"CNI_CONTAINERID=a/b":                                                      "containerID",
		"CNI_CONTAINERID=.hidden":                                                  "containerID",
		"CNI_CONTAINERID=" + strings.Repeat("a", 300):                              "CNI_CONTAINERID: is longer",
		"CNI_IFNAME=../eth0":                                                       "interface name",
		"CNI_IFNAME=..":                                                            "interface name",
		"CNI_IFNAME=interface-names-end-here":                                      "interface name",
		"CNI_ARGS=K8S_POD_NAMESPACE=shop;K8S_POD_NAME=../../root":                  `K8S_POD_NAME "../../root" is not what Kubernetes allows`,
		"CNI_ARGS=K8S_POD_NAMESPACE=../shop;K8S_POD_NAME=web":                      `K8S_POD_NAMESPACE "../shop"`,
		"CNI_ARGS=K8S_POD_NAMESPACE=shop;K8S_POD_NAME=Web":                         `K8S_POD_NAME "Web"`,
		"CNI_ARGS=K8S_POD_NAMESPACE=shop;K8S_POD_NAME=" + strings.Repeat("a", 254): "K8S_POD_NAME",
		"CNI_ARGS=nonsense":                                                        `"nonsense" is no KEY=VALUE`,
		"CNI_NETNS=/var/run/netns/none":                                            "CNI_NETNS: the network namespace /var/run/netns/none does not exist",
		"CNI_NETNS=/etc/hostname":                                                  "CNI_NETNS: /etc/hostname is no network namespace",
		"CNI_NETNS=/proc/thread-self/ns/net":                                       "is the node's own network namespace",
	} {
		t.Run(variable[:min(len(variable), 60)], func(t *testing.T) {
			n := newNode(t, dcos)
			s := n.call("ADD", n.container(), nil, variable)
			if !s.failed {
				t.Fatalf("it succeeded: %s", s.stdout)
			}
			contains(t, s.error().Msg, words)
			if code := s.error().Code; code != 4 && code != 3 {
				t.Errorf("its code is %d", code)
			}
			for _, dir := range []string{n.stateDir, n.leaseDir} {
				if _, err := os.Stat(dir); err == nil {
					t.Errorf("%s was made", dir)
				}
			}
			if len(n.agent.received) != 0 {
				t.Error("the agent was asked")
			}
		})
	}
}

func TestOfNamesOfPodsItTakesThoseThatTheAgentTakes(t *testing.T) {
	text, err := os.ReadFile("testdata/podnames.json") // the agent's tests read it too
	if err != nil {
		t.Fatal(err)
	}
	var names map[string]map[string][]string
	if err := json.Unmarshal(text, &names); err != nil {
		t.Fatal(err)
	}
	for field, args := range map[string]string{"namespace": "K8S_POD_NAMESPACE=", "pod": "K8S_POD_NAMESPACE=shop;K8S_POD_NAME="} {
		for kind, some := range names[field] {
			for _, name := range some {
				if _, err := parsePod(args + name); (err == nil) != (kind == "good") {
					t.Errorf("%s %q: %v", field, name, err)
				}
			}
		}
	}
}

func TestAConflistEditedByHand(t *testing.T) {
	for name, one := range map[string]struct {
		config string
		words  string
	}{
		"no JSON":              {`{"cniVersion":"1.1.0","name":"overlaynet",`, "config"},
		"a relative directory": {`{"cniVersion":"1.1.0","name":"overlaynet","type":"overlaynet","stateDir":"var"}`, `stateDir "var" is no absolute path`},
		"a relative socket":    {`{"cniVersion":"1.1.0","name":"overlaynet","type":"overlaynet","socket":""}`, `socket "" is no absolute path`},
		"a network with a path": {`{"cniVersion":"1.1.0","name":"overlaynet","type":"overlaynet","network":"../x"}`,
			`network "../x" is no name of a network`},
		"a number for a network":  {`{"cniVersion":"1.1.0","name":"overlaynet","type":"overlaynet","network":7}`, "network configuration cannot be read"},
		"a name with a path":      {`{"cniVersion":"1.1.0","name":"../x","type":"overlaynet"}`, "network name"},
		"no name":                 {`{"cniVersion":"1.1.0","type":"overlaynet"}`, "missing network name"},
		"a version of the future": {`{"cniVersion":"9.9.9","name":"overlaynet","type":"overlaynet"}`, "incompatible CNI versions"},
		"a previous result that is none": {`{"cniVersion":"1.1.0","name":"overlaynet","type":"overlaynet","prevResult":{"cniVersion":"1.1.0","ips":"none"}}`,
			"prevResult cannot be read"},
	} {
		t.Run(name, func(t *testing.T) {
			n := newNode(t, dcos)
			cmd, wait := n.prepare("ADD", n.container(), nil)
			cmd.Stdin = strings.NewReader(one.config)
			if err := n.start(cmd); err != nil {
				t.Fatal(err)
			}
			s := wait()
			if !s.failed {
				t.Fatalf("it succeeded: %s", s.stdout)
			}
			contains(t, s.error().Msg, one.words)
		})
	}
}

func TestAFullSubnetSaysSoAndIsOpenAgainAfterADel(t *testing.T) {
	small := dcos
	small.Ranges = []offeredRange{{"9.0.1.0/29", "9.0.1.1"}}
	n := newNode(t, small)
	var up []*container
	for range 5 {
		c := n.container()
		n.add(c)
		up = append(up, c)
	}
	full := "" // an agent of an older version, which has no usage
	for range 2 {
		s := n.call("ADD", n.container(), nil)
		if s.error().Code != subnetFull {
			t.Errorf("its code is %d", s.error().Code)
		}
		contains(t, s.error().Msg, "network dcos", "all 5 of 9.0.1.0/29 are leased")
		if s.error().Details != full {
			t.Errorf("of the node's other networks it says %q, not %q", s.error().Details, full)
		}
		full = "on this node: dcos 9.0.1.0/29 (CNI): 5 of 5 used; db 9.1.1.0/25 (CNI): 3 of 125 used"
		n.agent.usage = strings.TrimPrefix(full, "on this node: ")
		if got := n.leases(); len(got) != 5 {
			t.Errorf("leases are %v", got)
		}
	}
	n.ready()
	if s := n.call("STATUS", nil, nil); s.failed {
		t.Errorf("STATUS of a full subnet: %s", s.stdout)
	}
	n.del(up[2])
	n.add(n.container())
	up[0].reaches(t, "9.0.1.1")
}

func TestAReadOnlyStateDirectorySaysSo(t *testing.T) {
	n := newNode(t, dcos)
	os.WriteFile(n.stateDir, nil, 0o600) // a file in place of the directory
	s := n.call("ADD", n.container(), nil)
	contains(t, s.error().Msg, n.stateDir, "not a directory")
	if len(n.ports())+len(n.leases()) != 0 {
		t.Errorf("there are %v and %v", n.ports(), n.leases())
	}
}

// ready does what the agent does once the data path is complete.
func (n *node) ready() {
	boot, err := os.ReadFile(bootID)
	if err != nil {
		n.t.Fatal(err)
	}
	os.WriteFile(markerBeside(n.agent.socket), bytes.TrimSpace(boot), 0o644)
}

func TestCalledByHandItSaysWhatItIs(t *testing.T) {
	out, err := exec.Command(plugin).CombinedOutput()
	if err != nil {
		t.Fatal(err)
	}
	contains(t, string(out), "CNI plugin of overlaynet", "0.3.1, 0.4.0, 1.0.0, 1.1.0")
	silent, writer, err := os.Pipe() // like a terminal at which nobody types
	if err != nil {
		t.Fatal(err)
	}
	defer writer.Close()
	cmd := exec.Command(plugin)
	cmd.Env, cmd.Stdin = []string{"CNI_COMMAND=VERSION"}, silent
	if out, err = cmd.CombinedOutput(); err != nil {
		t.Fatal(err)
	}
	contains(t, string(out), `"cniVersion": "1.1.0"`)
}
