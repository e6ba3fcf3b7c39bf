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
	// a runtime that goes away in the middle is an error to undo by, not the end
	signal.Ignore(syscall.SIGPIPE)
	asked, err := versionAsked()
	if err != nil {
		fail(asked, types.NewError(types.ErrIOFailure, "the network configuration cannot be read", err.Error()))
	}
	if os.Getenv("CNI_COMMAND") == "VERSION" {
		print(map[string]any{"cniVersion": asked, "supportedVersions": versions.SupportedVersions()})
		return
	}
	// skel demands it of every command, the specification of GC alone; nothing is looked for there
	if os.Getenv("CNI_PATH") == "" && os.Getenv("CNI_COMMAND") != "GC" {
		os.Setenv("CNI_PATH", defaultBinDir)
	}
	functions := skel.CNIFuncs{Add: add, Del: del, Check: check, GC: collect, Status: status}
	if failed := skel.PluginMainFuncsWithError(functions, versions, "CNI plugin of overlaynet"); failed != nil {
		fail(asked, failed)
	}
}

// versionAsked finds out which version of the protocol the runtime speaks, which errors and VERSION are to repeat: skel
// does not. It leaves standard input as it was.
func versionAsked() (string, error) {
	asked := struct{ CNIVersion string }{version.Current()}
	command := os.Getenv("CNI_COMMAND")
	// a person who asks for the version gives nothing to read
	ready := []unix.PollFd{{Fd: 0, Events: unix.POLLIN}}
	if count, _ := unix.Poll(ready, 100); command == "" || command == "VERSION" && count == 0 {
		return asked.CNIVersion, nil
	}
	text, err := io.ReadAll(os.Stdin)
	if err != nil {
		return asked.CNIVersion, err
	}
	// what is no JSON is told of by who needs it
	_ = json.Unmarshal(text, &asked)
	again, err := unix.MemfdCreate("configuration", unix.MFD_CLOEXEC)
	if err != nil {
		return asked.CNIVersion, err
	}
	os.Stdin = os.NewFile(uintptr(again), "configuration")
	if _, err := os.Stdin.Write(text); err != nil {
		return asked.CNIVersion, err
	}
	if _, err := os.Stdin.Seek(0, io.SeekStart); err != nil {
		return asked.CNIVersion, err
	}
	return asked.CNIVersion, nil
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

// command runs what a person or the agent asks for by arguments, and returns the exit status.
func command(args []string) int {
	if args[0] != "sweep" {
		fmt.Fprintf(os.Stderr, "overlaynet: there is no command %q; there is sweep\n", args[0])
		return 2
	}
	if err := sweep(args[1:], os.Stdout); err != nil {
		fmt.Fprintf(os.Stderr, "overlaynet sweep: %v\n", err)
		return 1
	}
	return 0
}

// warn tells of something that is wrong but does not stop what is being done.
func warn(format string, values ...any) {
	fmt.Fprintf(os.Stderr, "overlaynet: "+format+"\n", values...)
}
