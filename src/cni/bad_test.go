package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"
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

func TestAnAgentThatIsAwaySlowOrUnreadyMeansTryAgain(t *testing.T) {
	for name, one := range map[string]struct {
		before func(*testing.T, *node)
		words  string
	}{
		"away": {func(t *testing.T, n *node) { n.agent.stop() }, "does not answer"},
		"gone, its socket left": {func(t *testing.T, n *node) {
			n.agent.stop()
			os.WriteFile(n.agent.socket, nil, 0o600)
		}, "does not answer"},
		"slow": {func(t *testing.T, n *node) {
			n.agent.answers(func(w http.ResponseWriter, q question) { time.Sleep(agentTimeout + time.Second) })
		}, "does not answer"},
		"empty": {func(t *testing.T, n *node) {
			n.agent.answers(func(w http.ResponseWriter, q question) {})
		}, "does not answer"},
		"not ready": {func(t *testing.T, n *node) {
			n.agent.answers(func(w http.ResponseWriter, q question) {
				w.WriteHeader(503)
				io.WriteString(w, `{"code":11,"msg":"the caches are not synced","details":"networks"}`)
			})
		}, "the caches are not synced"},
		"not ready, without words": {func(t *testing.T, n *node) {
			n.agent.answers(func(w http.ResponseWriter, q question) { w.WriteHeader(503) })
		}, "does not answer"},
		"dying": {func(t *testing.T, n *node) {
			n.agent.answers(func(w http.ResponseWriter, q question) { panic(http.ErrAbortHandler) })
		}, "does not answer"},
	} {
		t.Run(name, func(t *testing.T) {
			n := newNode(t, dcos)
			one.before(t, n)
			start := time.Now()
			s := n.call("ADD", n.container(), nil)
			if took := time.Since(start); took > agentTimeout+800*time.Millisecond {
				t.Errorf("it took %v", took)
			}
			if s.error().Code != 11 {
				t.Errorf("its code is %d", s.error().Code)
			}
			contains(t, s.error().Msg, one.words)
			n.nothingLeft()
			if n.agent.answer == nil {
				os.Remove(n.agent.socket)
				n.agent.listen(t)
			}
			n.agent.answers(nil)
			n.add(n.container()) // as soon as it answers
		})
	}
}

func TestTheAgentsRefusalIsPassedOn(t *testing.T) {
	n := newNode(t, dcos)
	n.agent.answers(func(w http.ResponseWriter, q question) {
		w.WriteHeader(403)
		io.WriteString(w, `{"code":102,"msg":"network dcos: namespace shop may not use it","details":"namespaceSelector team=a"}`)
	})
	got := n.call("ADD", n.container(), nil).error()
	if got.Code != 102 || got.Msg != "network dcos: namespace shop may not use it" || got.Details != "namespaceSelector team=a" {
		t.Errorf("it says %+v", got)
	}
	n.nothingLeft()
}

func TestGarbageFromTheAgentMakesNothing(t *testing.T) {
	good := `{"networks":[{"name":"dcos","interface":"eth0","bridge":"m-dcos","mtu":1450,"gatewayMAC":"02:4f:4f:00:00:01","ranges":[{"subnet":"9.0.1.0/25","gateway":"9.0.1.1"}],"defaultRoutes":["0.0.0.0/0"]}]}`
	change := func(from, to string) string {
		if !strings.Contains(good, from) {
			t.Fatalf("%s is not there to be changed", from)
		}
		return strings.Replace(good, from, to, 1)
	}
	replies := map[string]string{
		"no JSON":                  `<html>`,
		"half of it":               good[:len(good)/2],
		"no object":                `[]`,
		"no networks":              `{"networks":[]}`,
		"no list":                  `{"networks":7}`,
		"another interface":        change(`"interface":"eth0"`, `"interface":"eth1"`),
		"a network that is a path": change(`"name":"dcos"`, `"name":"../dcos"`),
		"no name":                  change(`"name":"dcos"`, `"name":""`),
		"a bridge that is a path":  change(`"m-dcos"`, `"../m-dcos"`),
		"no bridge":                change(`"m-dcos"`, `""`),
		"an mtu of nothing":        change(`1450`, `0`),
		"an mtu of too much":       change(`1450`, `1e9`),
		"an mtu of words":          change(`1450`, `"large"`),
		"no gateway MAC":           change(`02:4f:4f:00:00:01`, ``),
		"a gateway elsewhere":      change(`"9.0.1.1"`, `"9.9.9.9"`),
		"a gateway of words":       change(`"9.0.1.1"`, `"first"`),
		"a subnet with host bits":  change(`9.0.1.0/25`, `9.0.1.3/25`),
		"a subnet without room":    change(`9.0.1.0/25`, `9.0.1.0/31`),
		"no ranges":                change(`{"subnet":"9.0.1.0/25","gateway":"9.0.1.1"}`, ``),
		"ranges that overlap": change(`{"subnet":"9.0.1.0/25","gateway":"9.0.1.1"}`,
			`{"subnet":"9.0.1.0/25","gateway":"9.0.1.1"},{"subnet":"9.0.1.0/26","gateway":"9.0.1.1"}`),
		"a route of a family without a range": change(`0.0.0.0/0`, `::/0`),
		"a route of words":                    change(`0.0.0.0/0`, `default`),
		"a network twice":                     change(`{"networks":[`, good[:len(good)-2]+`,`),
		"without end":                         `{"networks":[` + strings.Repeat(" ", replyLimit) + `]}`,
	}
	for name, reply := range replies {
		t.Run(name, func(t *testing.T) {
			n := newNode(t, dcos)
			n.agent.answers(func(w http.ResponseWriter, q question) { io.WriteString(w, reply) })
			s := n.call("ADD", n.container(), nil)
			if !s.failed {
				t.Fatalf("it succeeded: %s", s.stdout)
			}
			if s.error().Code == 11 || s.error().Msg == "" || strings.Contains(s.stdout+s.stderr, "goroutine") {
				t.Errorf("it says %s %s", s.stdout, s.stderr)
			}
			n.nothingLeft()
			n.agent.answers(nil)
			n.add(n.container())
		})
	}
	for status, body := range map[int]string{400: "", 404: "not found", 500: "{}", 302: "<html>"} {
		n := newNode(t, dcos)
		n.agent.answers(func(w http.ResponseWriter, q question) {
			w.WriteHeader(status)
			io.WriteString(w, body)
		})
		contains(t, n.call("ADD", n.container(), nil).error().Msg, "the overlaynet agent's reply cannot be used", fmt.Sprint(status))
		n.nothingLeft()
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
	for range 2 {
		s := n.call("ADD", n.container(), nil)
		if s.error().Code != subnetFull {
			t.Errorf("its code is %d", s.error().Code)
		}
		contains(t, s.error().Msg, "network dcos", "all 5 of 9.0.1.0/29 are leased")
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
	os.WriteFile(n.stateDir, nil, 0o600) // a file where a directory is to be
	s := n.call("ADD", n.container(), nil)
	contains(t, s.error().Msg, n.stateDir, "not a directory")
	if len(n.ports())+len(n.leases()) != 0 {
		t.Errorf("there are %v and %v", n.ports(), n.leases())
	}
}

// ready is what the agent does once the data path is complete.
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
	silent, writer, err := os.Pipe() // as a terminal is, on which nobody types
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
