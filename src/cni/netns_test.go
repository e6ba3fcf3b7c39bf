package main

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"sync"
	"testing"

	"golang.org/x/sys/unix"
)

// netns is a network namespace that ends with the test.
type netns struct {
	path string
	stop chan struct{}
	once sync.Once
}

func newNetns(t testing.TB) *netns {
	t.Helper()
	ns := &netns{stop: make(chan struct{})}
	ready := make(chan error)
	go func() {
		runtime.LockOSThread() // never unlocked: the thread, and with it the namespace, ends with the goroutine
		err := unix.Unshare(unix.CLONE_NEWNET)
		ns.path = fmt.Sprintf("/proc/%d/task/%d/ns/net", os.Getpid(), unix.Gettid())
		ready <- err
		<-ns.stop
	}()
	if err := <-ready; err != nil {
		t.Fatalf("no network namespace, which needs root: %v", err)
	}
	t.Cleanup(ns.end)
	ns.sh(t, "ip link set lo up")
	return ns
}

// end does what a runtime does when a container has stopped.
func (ns *netns) end() { ns.once.Do(func() { close(ns.stop) }) }

// start starts a program in the namespace.
func (ns *netns) start(cmd *exec.Cmd) error { return ns.do(cmd.Start) }

func (ns *netns) try(command string) (string, error) {
	words := strings.Fields(command)
	cmd := exec.Command(words[0], words[1:]...)
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := ns.start(cmd); err != nil {
		return "", err
	}
	err := cmd.Wait()
	return out.String(), err
}

func (ns *netns) sh(t testing.TB, command string) string {
	t.Helper()
	out, err := ns.try(command)
	if err != nil {
		t.Fatalf("%s: %v: %s", command, err, out)
	}
	return out
}

// reaches fails the test unless an answer comes within a second: a kernel takes some milliseconds to notice a carrier.
func (ns *netns) reaches(t testing.TB, address string) {
	t.Helper()
	ns.sh(t, "ping -c 1 -w 1 -i 0.2 "+address)
}
