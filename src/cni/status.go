package main

import (
	"os"
	"path/filepath"
	"strings"

	"github.com/containernetworking/cni/pkg/skel"
	"github.com/containernetworking/cni/pkg/types"
)

const bootID = "/proc/sys/kernel/random/boot_id"

// markerBeside returns the file into which the agent writes the boot's ID once the data path is complete.
func markerBeside(socket string) string { return filepath.Join(filepath.Dir(socket), "complete") }

// status fails only until the node's data path was complete once since it booted. The specification would have it fail
// on a full subnet too, but a runtime turns that into a node that is NotReady, whose pods are evicted: one full network
// must not take the node from all others. What is full fails at ADD.
func status(args *skel.CmdArgs) error {
	conf, err := parseConfig(args.StdinData)
	if err != nil {
		return err
	}
	marker := markerBeside(conf.Socket)
	boot, err := os.ReadFile(bootID)
	if err != nil {
		return err
	}
	complete, err := os.ReadFile(marker)
	if err == nil && strings.TrimSpace(string(complete)) == strings.TrimSpace(string(boot)) {
		return nil
	}
	details := marker + " is of another boot"
	if err != nil {
		details = err.Error()
	}
	return types.NewError(types.ErrPluginNotAvailable, "the overlaynet agent has not completed this node's data path since it booted", details)
}
