package main

import (
	"net/http"
	"os"
	"testing"
)

func TestTheAgentIsToldHowEachCommandEnded(t *testing.T) {
	n := newNode(t, dual)
	c, refused := n.container(), n.container()
	n.add(c)
	n.agent.answers(func(w http.ResponseWriter, _ question) {
		http.Error(w, `{"code":103,"msg":"this node has no block of the network"}`, http.StatusForbidden)
	})
	if failed := n.call("ADD", refused, nil).error(); failed.Code != 103 {
		t.Fatalf("the refusal is %v", failed)
	}
	n.del(c)
	want := []ending{{Command: "ADD"}, {Command: "ADD", Code: 103}, {Command: "DEL"}}
	n.agent.mutex.Lock()
	defer n.agent.mutex.Unlock()
	if len(n.agent.ended) != len(want) {
		t.Fatalf("the agent was told %v", n.agent.ended)
	}
	for at, ended := range n.agent.ended {
		if ended.Command != want[at].Command || ended.Code != want[at].Code || ended.Seconds <= 0 {
			t.Errorf("the agent was told %v, not %v", ended, want[at])
		}
	}
}

func TestACommandEndsAsItDidWhereNoAgentCanBeTold(t *testing.T) {
	n := newNode(t, dual)
	c := n.container()
	n.add(c)
	if err := os.Remove(n.agent.socket); err != nil {
		t.Fatal(err)
	}
	n.del(c)
	n.nothingLeft()
}
