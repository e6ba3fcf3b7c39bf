// runc: runs the system's runc. Where this machine's own bounding set lacks CAP_SYS_RESOURCE, it first takes that
// capability out of what the container asks for: a privileged one asks for all, and would fail with "unable to apply caps".
package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
)

const (
	capability    = "CAP_SYS_RESOURCE"
	capabilityBit = 24
)

// Where distributions and Docker's own packages put it.
var places = []string{"/usr/sbin/runc", "/usr/bin/runc"}

func main() {
	if lacking() {
		if err := strip(os.Args[1:]); err != nil {
			fmt.Fprintln(os.Stderr, "runc wrapper:", err)
			os.Exit(1)
		}
	}
	var err error
	for _, place := range places {
		err = syscall.Exec(place, append([]string{"runc"}, os.Args[1:]...), os.Environ())
	}
	fmt.Fprintln(os.Stderr, "runc wrapper:", places, err)
	os.Exit(1)
}

func lacking() bool {
	status, _ := os.ReadFile("/proc/self/status")
	for _, line := range strings.Split(string(status), "\n") {
		if value, ok := strings.CutPrefix(line, "CapBnd:"); ok {
			set, err := strconv.ParseUint(strings.TrimSpace(value), 16, 64)
			return err == nil && set&(1<<capabilityBit) == 0
		}
	}
	return false
}

// strip edits the file that the command line names: a bundle's config.json, or the process of an exec.
func strip(args []string) error {
	bundle, process, verb := ".", "", ""
	for i, arg := range args {
		name, value, joined := strings.Cut(arg, "=")
		if !joined && i+1 < len(args) {
			value = args[i+1]
		}
		switch {
		case name == "--bundle" || name == "-b":
			bundle = value
		case name == "--process" || name == "-p":
			process = value
		case verb == "" && (arg == "create" || arg == "run" || arg == "exec"):
			verb = arg
		}
	}
	switch {
	case verb == "exec" && process != "":
		return edit(process, func(document map[string]any) any { return document["capabilities"] })
	case verb == "create" || verb == "run":
		return edit(filepath.Join(bundle, "config.json"), func(document map[string]any) any {
			process, _ := document["process"].(map[string]any)
			return process["capabilities"]
		})
	}
	return nil
}

func edit(file string, capabilities func(map[string]any) any) error {
	text, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	var document map[string]any
	decoder := json.NewDecoder(strings.NewReader(string(text)))
	decoder.UseNumber() // limits are 64-bit numbers
	if err := decoder.Decode(&document); err != nil {
		return fmt.Errorf("%s: %w", file, err)
	}
	sets, _ := capabilities(document).(map[string]any)
	for name, set := range sets {
		if list, ok := set.([]any); ok {
			sets[name] = slices.DeleteFunc(list, func(one any) bool { return one == capability })
		}
	}
	edited, err := json.Marshal(document)
	if err != nil {
		return err
	}
	return os.WriteFile(file, edited, 0o600)
}
