package main

import (
	"encoding/json"
	"time"

	"github.com/containernetworking/cni/pkg/types"
)

// donePath is where the agent is told how a command ended.
const donePath = "/v1/done"

// tellTimeout bounds what telling adds to a command. An agent that is busy for longer misses one count.
const tellTimeout = 100 * time.Millisecond

// tell reports how a command ended, for the agent's metrics. A failure to report is no failure of the command.
func tell(socket, command string, failed *types.Error, took time.Duration) {
	ended := struct {
		Command string  `json:"command"`
		Code    uint    `json:"code"`
		Seconds float64 `json:"seconds"`
	}{Command: command, Seconds: took.Seconds()}
	if failed != nil {
		ended.Code = failed.Code
	}
	if body, err := json.Marshal(ended); err == nil && absolute("socket", socket) == nil {
		_, _, _ = postWithin(tellTimeout, socket, donePath, body)
	}
}
