package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"

	current "github.com/containernetworking/cni/pkg/types/100"

	"github.com/containernetworking/cni/pkg/types"
	"golang.org/x/sys/unix"
)

const inside = "OVERLAYNET_CNI_TEST_INSIDE"

// plugin is the path of the real program, built for these tests.
var plugin string

// TestMain runs everything in its own network and mount namespace, so that the machine's are not affected.
func TestMain(m *testing.M) {
	if os.Getenv(inside) == "" {
		os.Exit(runInside())
	}
	// the CNI project's library keeps its results in /var/lib/cni, in every namespace
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		panic(err)
	}
	if err := unix.Mount("tmpfs", "/var/lib", "tmpfs", 0, ""); err != nil {
		panic(err)
	}
	dir, err := os.MkdirTemp("", "overlaynet-cni-")
	if err != nil {
		panic(err)
	}
	plugin = filepath.Join(dir, "overlaynet")
	build := exec.Command("go", "build", "-o", plugin, ".")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		panic(fmt.Sprintf("go build: %s", out))
	}
	code := m.Run()
	os.RemoveAll(dir)
	os.Exit(code)
}

func runInside() int {
	again := exec.Command("/proc/self/exe", os.Args[1:]...)
	again.Env = append(os.Environ(), inside+"=yes")
	again.Stdin, again.Stdout, again.Stderr = os.Stdin, os.Stdout, os.Stderr
	again.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNET | syscall.CLONE_NEWNS, Pdeathsig: syscall.SIGKILL}
	runtime.LockOSThread() // Pdeathsig ends the child when this thread ends, so the thread must stay
	err := again.Run()
	var ended *exec.ExitError
	if errors.As(err, &ended) {
		return ended.ExitCode()
	}
	if err != nil {
		fmt.Fprintf(os.Stderr, "no network namespace, which needs root: %v\n", err)
		return 1
	}
	return 0
}

// said is the outcome of a call of the plugin.
type said struct {
	stdout, stderr string
	failed         bool
}

func (s said) error() types.Error {
	var e types.Error
	if err := json.Unmarshal([]byte(s.stdout), &e); err != nil {
		return types.Error{Msg: "not JSON: " + s.stdout}
	}
	return e
}

func (s said) result(t testing.TB) *current.Result {
	t.Helper()
	if s.failed {
		t.Fatalf("the plugin failed: %s %s", s.stdout, s.stderr)
	}
	var header struct{ CNIVersion string }
	if err := json.Unmarshal([]byte(s.stdout), &header); err != nil {
		t.Fatalf("no result: %v: %s", err, s.stdout)
	}
	parsed, err := current.NewResult([]byte(s.stdout))
	if header.CNIVersion != "1.0.0" && header.CNIVersion != "1.1.0" {
		t.Fatalf("a result of version %q", header.CNIVersion)
	}
	if err != nil {
		t.Fatalf("no result: %v: %s", err, s.stdout)
	}
	return parsed.(*current.Result)
}

// node is a simulated node with its own bridges, agent and directories.
type node struct {
	*netns
	t        testing.TB
	dir      string
	stateDir string
	leaseDir string
	agent    *fakeAgent
	conflist string
	version  string
}

func newNode(t testing.TB, offers ...offer) *node {
	t.Helper()
	dir, err := os.MkdirTemp("", "ovc-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	n := &node{netns: newNetns(t), t: t, dir: dir, conflist: "overlaynet", version: "1.1.0"}
	n.stateDir, n.leaseDir = filepath.Join(dir, "state"), filepath.Join(dir, "networks")
	for _, one := range offers {
		n.bridge(one)
	}
	n.agent = startAgent(t, filepath.Join(dir, "agent.sock"), offers...)
	return n
}

// bridge makes the bridge of a network, as the agent does.
func (n *node) bridge(one offer) {
	n.t.Helper()
	n.sh(n.t, fmt.Sprintf("ip link add %s address %s mtu %d type bridge", one.Bridge, one.GatewayMAC, one.MTU))
	n.sh(n.t, "ip link set "+one.Bridge+" alias overlaynet")
	for _, part := range one.Ranges {
		length := part.Subnet[strings.Index(part.Subnet, "/"):]
		nodad := ""
		if strings.Contains(part.Gateway, ":") {
			nodad = " nodad"
		}
		n.sh(n.t, "ip address add "+part.Gateway+length+" dev "+one.Bridge+nodad)
	}
	n.sh(n.t, "ip link set "+one.Bridge+" up")
}

// config is the configuration that a runtime passes; more is merged into it.
func (n *node) config(more map[string]any) []byte {
	conf := map[string]any{
		"cniVersion": n.version, "name": n.conflist, "type": "overlaynet",
		"socket": n.agent.socket, "stateDir": n.stateDir, "leaseDir": n.leaseDir,
	}
	for k, v := range more {
		conf[k] = v
	}
	text, err := json.Marshal(conf)
	if err != nil {
		n.t.Fatal(err)
	}
	return text
}

// container is a container that a runtime has made.
type container struct {
	*netns
	id string
}

var containers int

func (n *node) container() *container {
	n.t.Helper()
	containers++
	return &container{newNetns(n.t), fmt.Sprintf("c%063d", containers)}
}

// prepare makes a call of the plugin in the node and does not start it.
func (n *node) prepare(command string, c *container, more map[string]any, env ...string) (*exec.Cmd, func() said) {
	cmd := exec.Command(plugin)
	cmd.Env = append(os.Environ(), "CNI_COMMAND="+command, "CNI_PATH="+filepath.Dir(plugin))
	if c != nil {
		cmd.Env = append(cmd.Env, "CNI_CONTAINERID="+c.id, "CNI_IFNAME=eth0", "CNI_NETNS="+c.path)
	}
	cmd.Env = append(cmd.Env, env...)
	cmd.Stdin = bytes.NewReader(n.config(more))
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	return cmd, func() said {
		err := cmd.Wait()
		return said{stdout.String(), stderr.String(), err != nil}
	}
}

// call runs the plugin with a container's parameters.
func (n *node) call(command string, c *container, more map[string]any, env ...string) said {
	n.t.Helper()
	cmd, wait := n.prepare(command, c, more, env...)
	if err := n.start(cmd); err != nil {
		n.t.Fatal(err)
	}
	return wait()
}

func (n *node) add(c *container) *current.Result {
	n.t.Helper()
	return n.call("ADD", c, nil).result(n.t)
}

func (n *node) del(c *container) {
	n.t.Helper()
	if s := n.call("DEL", c, nil); s.failed {
		n.t.Fatalf("DEL failed: %s %s", s.stdout, s.stderr)
	}
}

// leases returns the leased addresses of all networks, sorted.
func (n *node) leases() []string {
	var found []string
	for _, network := range (leases{n.leaseDir}).networks() {
		for _, one := range (leases{n.leaseDir}).list(network) {
			found = append(found, one.address.String())
		}
	}
	return found
}

func (n *node) records() []string {
	files, _ := filepath.Glob(filepath.Join(n.stateDir, "attachments", "[^.]*.json"))
	return files
}

// ports returns the names of our links in the node.
func (n *node) ports() []string {
	var names []string
	for _, line := range strings.Split(n.sh(n.t, "ip -o link show type veth"), "\n") {
		// skip the error that ip prints about a namespace that is being removed
		if words := strings.Fields(line); len(words) > 1 && words[0] != "Error:" {
			names = append(names, strings.SplitN(words[1], "@", 2)[0])
		}
	}
	return names
}

// nothingLeft fails the test if any container left anything.
func (n *node) nothingLeft() {
	n.t.Helper()
	if found := n.leases(); len(found) > 0 {
		n.t.Errorf("leases are left: %v", found)
	}
	if found := n.records(); len(found) > 0 {
		n.t.Errorf("records are left: %v", found)
	}
	if found := n.ports(); len(found) > 0 {
		n.t.Errorf("links are left: %v", found)
	}
	hidden, _ := filepath.Glob(filepath.Join(n.stateDir, "attachments", ".*"))
	if len(hidden) > 0 && (len(hidden) > 1 || filepath.Base(hidden[0]) != ".lock") {
		n.t.Errorf("temporary files are left: %v", hidden)
	}
}

// standardPlugin returns the path of a standard plugin of the CNI project.
func standardPlugin(t testing.TB, name string) string {
	t.Helper()
	for _, dir := range filepath.SplitList(os.Getenv("CNI_PATH")) {
		path := filepath.Join(dir, name)
		if _, err := os.Stat(path); err == nil {
			return path
		}
	}
	t.Fatalf("%s is in no directory of CNI_PATH: run the tests by npm test", name)
	return ""
}
