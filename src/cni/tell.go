package main

import (
	"encoding/json"
	"errors"
	"os"
	"time"

	"github.com/containernetworking/cni/pkg/types"
	"golang.org/x/sys/unix"
)

// donePath is the agent's path for reports of ended commands.
const donePath = "/v1/done"

// tellTimeout is the time that the report may add to a command. If the agent is busy for longer, one command is not
// counted.
const tellTimeout = 100 * time.Millisecond

// untoldSuffix ends the path of the file, beside the socket, that holds the reports that no agent took, one a line.
// The next agent counts them.
const untoldSuffix = ".untold"

// longestUntold bounds that file: where no agent runs for long, further commands are not counted.
const longestUntold = 64 * 1024

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
	body, err := json.Marshal(ended)
	if err != nil || absolute("socket", socket) != nil {
		return
	}
	var sending *os.SyscallError
	_, _, err = postWithin(tellTimeout, socket, donePath, body)
	// a busy agent that has got the request counts it later
	if errors.As(err, &sending) && sending.Syscall != "read" {
		keep(socket+untoldSuffix, body)
	}
}

// keep appends a line to a file. The directory is the agent's: where it is not there, no agent has run since boot.
func keep(path string, line []byte) {
	fd, err := unix.Open(path, unix.O_WRONLY|unix.O_APPEND|unix.O_CREAT|unix.O_NOFOLLOW|unix.O_NONBLOCK|unix.O_CLOEXEC, 0o600)
	if err != nil {
		return
	}
	defer unix.Close(fd)
	var is unix.Stat_t
	if unix.Fstat(fd, &is) == nil && is.Mode&unix.S_IFMT == unix.S_IFREG && is.Size < longestUntold {
		_, _ = unix.Write(fd, append(line, '\n'))
	}
}
