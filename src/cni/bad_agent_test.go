package main

import (
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"
)

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
			n.add(n.container()) // succeeds as soon as the agent answers
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

// garbageReplies are replies without a usable network.
func garbageReplies(t *testing.T) map[string]string {
	good := `{"networks":[{"name":"dcos","interface":"eth0","bridge":"m-dcos","mtu":1450,"gatewayMAC":"02:4f:4f:00:00:01","ranges":[{"subnet":"9.0.1.0/25","gateway":"9.0.1.1"}],"defaultRoutes":["0.0.0.0/0"]}]}`
	change := func(from, to string) string {
		if !strings.Contains(good, from) {
			t.Fatalf("%s is not there to be changed", from)
		}
		return strings.Replace(good, from, to, 1)
	}
	return map[string]string{
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
}

func TestGarbageFromTheAgentMakesNothing(t *testing.T) {
	for name, reply := range garbageReplies(t) {
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
