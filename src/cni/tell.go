package main

import (
	"encoding/json"
	"time"

	"github.com/containernetworking/cni/pkg/types"
)

// donePath is the agent's path for reports of ended commands.
const donePath = "/v1/done"

// tellTimeout is the time that the report may add to a command. If the agent is busy for longer, one command is not
// counted.
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
