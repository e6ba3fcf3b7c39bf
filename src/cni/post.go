package main

import (
	"bytes"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

const (
	agentTimeout = 5 * time.Second
	// replyLimit is far above what a node's networks need.
	replyLimit  = 1 << 20
	headerLimit = 1 << 14
)

// post sends a POST request and reads the reply. This is the only HTTP that the plugin needs, and net/http would add a
// tenth to the cost of an ADD. It speaks HTTP/1.0, so the reply has no chunks and ends with the connection. It reads at
// most one byte more than the limit.
func post(socket, path string, body []byte) (status int, reply []byte, err error) {
	return postWithin(agentTimeout, socket, path, body)
}

func postWithin(timeout time.Duration, socket, path string, body []byte) (status int, reply []byte, err error) {
	said, err := exchange(timeout, socket, fmt.Appendf(nil,
		"POST %s HTTP/1.0\r\nHost: agent\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s", path, len(body), body))
	if err != nil {
		return 0, nil, err
	}
	header, reply, whole := bytes.Cut(said, []byte("\r\n\r\n"))
	if !whole {
		return 0, nil, fmt.Errorf("no whole reply: %q", header[:min(len(header), 100)])
	}
	lines := strings.Split(string(header), "\r\n")
	if _, err := fmt.Sscanf(lines[0], "HTTP/1.%d %d", new(int), &status); err != nil {
		return 0, nil, fmt.Errorf("no reply of HTTP/1: %q", lines[0][:min(len(lines[0]), 100)])
	}
	for _, line := range lines[1:] {
		name, value, _ := strings.Cut(line, ":")
		length, err := strconv.Atoi(strings.TrimSpace(value))
		if strings.EqualFold(name, "Content-Length") && (err != nil || length > len(reply) && len(reply) <= replyLimit) {
			return 0, nil, fmt.Errorf("the reply has %d bytes of %s", len(reply), value)
		}
	}
	return status, reply, nil
}

// exchange writes to a UNIX socket and reads the reply to its end. It blocks, unlike package net, so it needs no
// poller and no threads that wake each other.
func exchange(timeout time.Duration, socket string, request []byte) ([]byte, error) {
	deadline := time.Now().Add(timeout)
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, err
	}
	defer unix.Close(fd)
	limit := unix.NsecToTimeval(int64(timeout))
	if err := unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_SNDTIMEO, &limit); err != nil {
		return nil, err
	}
	if err := unix.Connect(fd, &unix.SockaddrUnix{Name: socket}); err != nil {
		return nil, os.NewSyscallError("connect", err)
	}
	for sent := 0; sent < len(request); {
		count, err := unix.SendmsgN(fd, request[sent:], nil, nil, unix.MSG_NOSIGNAL)
		if err != nil {
			return nil, os.NewSyscallError("write", err)
		}
		sent += count
	}
	said, buffer := []byte{}, make([]byte, 1<<14)
	for len(said) < headerLimit+replyLimit {
		left := time.Until(deadline)
		if left <= 0 {
			return nil, fmt.Errorf("no answer within %s", timeout)
		}
		limit = unix.NsecToTimeval(int64(left) + 1000) // a time-out of zero would mean no limit
		if err := unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &limit); err != nil {
			return nil, err
		}
		count, err := unix.Read(fd, buffer)
		switch {
		case err == unix.EINTR || err == unix.EAGAIN:
		case err != nil:
			return nil, os.NewSyscallError("read", err)
		case count == 0:
			return said, nil
		}
		said = append(said, buffer[:max(count, 0)]...)
	}
	return said, nil
}
