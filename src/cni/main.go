// The CNI plugin of overlaynet: puts containers on the node's overlay networks.
//
// It asks the node's agent which networks a container belongs to and does everything else itself: leases by
// host-local's allocator, links, addresses and routes over netlink. What it made is written down, so that it is undone
// without the agent.
package main

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/containernetworking/cni/pkg/skel"
	"github.com/containernetworking/cni/pkg/types"
	"github.com/containernetworking/cni/pkg/version"
	"golang.org/x/sys/unix"
)

var versions = version.PluginSupports("0.3.1", "0.4.0", "1.0.0", "1.1.0")

func main() {
	if len(os.Args) > 1 && os.Getenv("CNI_COMMAND") == "" {
		os.Exit(command(os.Args[1:]))
	}
	// if the runtime goes away in the middle, writing fails and the work is undone, instead of the process being
	// killed
	signal.Ignore(syscall.SIGPIPE)
	started := time.Now()
	asked, socket, err := versionAsked()
	if err != nil {
		fail(asked, types.NewError(types.ErrIOFailure, "the network configuration cannot be read", err.Error()))
	}
	if os.Getenv("CNI_COMMAND") == "VERSION" {
		print(map[string]any{"cniVersion": asked, "supportedVersions": versions.SupportedVersions()})
		return
	}
	// skel demands CNI_PATH of every command, though the specification does only for GC; nothing is looked up there
	if os.Getenv("CNI_PATH") == "" && os.Getenv("CNI_COMMAND") != "GC" {
		os.Setenv("CNI_PATH", defaultBinDir)
	}
	functions := skel.CNIFuncs{Add: add, Del: del, Check: check, GC: collect, Status: status}
	failed := skel.PluginMainFuncsWithError(functions, versions, "CNI plugin of overlaynet")
	tell(socket, os.Getenv("CNI_COMMAND"), failed, time.Since(started))
	if failed != nil {
		fail(asked, failed)
	}
}

// versionAsked finds the protocol version that the runtime speaks, and the agent's socket. Errors and VERSION have to
// repeat the version, which skel does not do. Standard input can still be read afterwards.
func versionAsked() (cniVersion, socket string, err error) {
	asked := struct{ CNIVersion, Socket string }{version.Current(), defaultSocket}
	command := os.Getenv("CNI_COMMAND")
	// a person who asks for the version sends no input
	ready := []unix.PollFd{{Fd: 0, Events: unix.POLLIN}}
	if count, _ := unix.Poll(ready, 100); command == "" || command == "VERSION" && count == 0 {
		return asked.CNIVersion, asked.Socket, nil
	}
	text, err := io.ReadAll(os.Stdin)
	if err != nil {
		return asked.CNIVersion, asked.Socket, err
	}
	// the command that needs the input reports invalid JSON
	_ = json.Unmarshal(text, &asked)
	again, err := unix.MemfdCreate("configuration", unix.MFD_CLOEXEC)
	if err != nil {
		return asked.CNIVersion, asked.Socket, err
	}
	os.Stdin = os.NewFile(uintptr(again), "configuration")
	if _, err := os.Stdin.Write(text); err != nil {
		return asked.CNIVersion, asked.Socket, err
	}
	if _, err := os.Stdin.Seek(0, io.SeekStart); err != nil {
		return asked.CNIVersion, asked.Socket, err
	}
	return asked.CNIVersion, asked.Socket, nil
}

func fail(version string, failed *types.Error) {
	said := map[string]any{"cniVersion": version, "code": failed.Code, "msg": failed.Msg}
	if failed.Details != "" {
		said["details"] = failed.Details
	}
	print(said)
	os.Exit(1)
}

func print(object any) {
	text, err := json.MarshalIndent(object, "", "    ")
	if err == nil {
		_, err = os.Stdout.Write(append(text, '\n'))
	}
	if err != nil {
		warn("%v", err)
		os.Exit(1)
	}
}

// commands are subcommands for people and for the agent.
var commands = map[string]func(args []string, out io.Writer) error{
	"sweep": sweep,
	"send":  sendCommand,
	"watch": watchCommand,
}

// command runs a subcommand and returns the exit status.
func command(args []string) int {
	run, ok := commands[args[0]]
	if !ok {
		fmt.Fprintf(os.Stderr, "overlaynet: there is no command %q; there are send, sweep and watch\n", args[0])
		return 2
	}
	if err := run(args[1:], os.Stdout); err != nil {
		fmt.Fprintf(os.Stderr, "overlaynet %s: %v\n", args[0], err)
		return 1
	}
	return 0
}

// warn reports a problem that does not stop the work.
func warn(format string, values ...any) {
	fmt.Fprintf(os.Stderr, "overlaynet: "+format+"\n", values...)
}
