package main

import (
	"encoding/json"
	"fmt"
	"path/filepath"
	"strings"

	"github.com/containernetworking/cni/pkg/skel"
	"github.com/containernetworking/cni/pkg/types"
	"github.com/containernetworking/cni/pkg/utils"
)

const (
	// annotationsCapability has the runtime hand over the pod's annotations.
	annotationsCapability = "io.kubernetes.cri.pod-annotations"
	// networkAnnotation names the networks that a pod asks for.
	networkAnnotation = "overlaynet.dev/network"
)

// config is what the runtime passes on standard input.
type config struct {
	types.PluginConf
	// Network is set in a per-network conflist; it is empty in the cluster's default one.
	Network  string `json:"network,omitempty"`
	Socket   string `json:"socket,omitempty"`
	StateDir string `json:"stateDir,omitempty"`
	LeaseDir string `json:"leaseDir,omitempty"`

	RuntimeConfig struct {
		Annotations annotations `json:"io.kubernetes.cri.pod-annotations"`
	} `json:"runtimeConfig,omitempty"`
}

// annotations are the pod's. A runtime, or a plugin that calls this one, may leave them out, which differs from a pod
// that has none.
type annotations struct {
	delivered bool
	of        map[string]string
}

func (a *annotations) UnmarshalJSON(text []byte) error {
	a.delivered = true
	return json.Unmarshal(text, &a.of)
}

const (
	defaultSocket   = "/run/overlaynet/agent.sock"
	defaultStateDir = "/var/lib/overlaynet"
	defaultLeaseDir = "/var/lib/cni/networks"
	defaultBinDir   = "/opt/cni/bin"
)

// longestContainerID leaves room in a file name of 255 bytes for the interface's name, separators and suffixes.
const longestContainerID = 192

func parseConfig(text []byte) (*config, error) {
	conf, err := parseDirectories(text)
	if err != nil {
		return nil, err
	}
	conf.Socket = defaultSocket
	if err := unmarshal(text, conf); err != nil {
		return nil, err
	}
	if err := absolute("socket", conf.Socket); err != nil {
		return nil, err
	}
	if conf.Network != "" && utils.ValidateNetworkName(conf.Network) != nil {
		return nil, invalidConfig("network %q is no name of a network", conf.Network)
	}
	return conf, nil
}

// parseDirectories reads only what is needed to undo an attachment, so that errors elsewhere in the conflist do not
// keep a container from ending.
func parseDirectories(text []byte) (*config, error) {
	found := struct{ Name, StateDir, LeaseDir string }{StateDir: defaultStateDir, LeaseDir: defaultLeaseDir}
	if err := unmarshal(text, &found); err != nil {
		return nil, err
	}
	conf := &config{StateDir: found.StateDir, LeaseDir: found.LeaseDir}
	conf.Name = found.Name
	return conf, join(absolute("stateDir", conf.StateDir), absolute("leaseDir", conf.LeaseDir))
}

func unmarshal(text []byte, into any) error {
	if err := json.Unmarshal(text, into); err != nil {
		return types.NewError(types.ErrDecodingFailure, "the network configuration cannot be read", err.Error())
	}
	return nil
}

func absolute(key, path string) error {
	if !filepath.IsAbs(path) {
		return invalidConfig("%s %q is no absolute path", key, path)
	}
	return nil
}

func invalidConfig(format string, values ...any) error {
	return types.NewError(types.ErrInvalidNetworkConfig, fmt.Sprintf("network configuration: "+format, values...), "")
}

// pod identifies the container in Kubernetes; it is empty elsewhere.
type pod struct{ namespace, name string }

// Names become part of messages and of requests to the agent, so only valid Kubernetes names are accepted.
var podArgs = []struct {
	key, may string
	max      int
	to       func(*pod) *string
}{
	{"K8S_POD_NAMESPACE", "-", 63, func(p *pod) *string { return &p.namespace }},
	{"K8S_POD_NAME", "-.", 253, func(p *pod) *string { return &p.name }},
}

// isName tells whether a text consists of small letters and digits, with the characters of may only between them.
func isName(text, may string) bool {
	for at, c := range []byte(text) {
		inside := at > 0 && at < len(text)-1 && strings.IndexByte(may, c) >= 0
		if !(inside || c >= 'a' && c <= 'z' || c >= '0' && c <= '9') {
			return false
		}
	}
	return text != ""
}

// parsePod reads CNI_ARGS, `KEY=VALUE;KEY=VALUE`, and ignores unknown keys. Without a namespace it is not Kubernetes:
// Podman passes its container's name as K8S_POD_NAME.
func parsePod(args string) (pod, error) {
	var found pod
	values := map[string]string{}
	for _, pair := range strings.Split(args, ";") {
		key, value, paired := strings.Cut(pair, "=")
		if !paired && pair != "" {
			return pod{}, invalidVariable("CNI_ARGS", "%q is no KEY=VALUE", pair)
		}
		values[key] = value
	}
	for _, arg := range podArgs {
		value := values[arg.key]
		if value == "" || values["K8S_POD_NAMESPACE"] == "" {
			continue
		}
		if len(value) > arg.max || !isName(value, arg.may) {
			return pod{}, invalidVariable("CNI_ARGS", "%s %q is not what Kubernetes allows: at most %d small letters and digits, and %q between them", arg.key, value, arg.max, arg.may)
		}
		*arg.to(&found) = value
	}
	return found, nil
}

func invalidVariable(name, format string, values ...any) error {
	return types.NewError(types.ErrInvalidEnvironmentVariables, name+": "+fmt.Sprintf(format, values...), "")
}

// key identifies one attachment of the node.
type key struct{ containerID, ifname string }

func (k key) String() string { return k.containerID + "/" + k.ifname }

// keyOf checks what becomes part of file names. The runtime's libraries check the same, but a call by hand may not.
func keyOf(args *skel.CmdArgs) (key, error) {
	if err := utils.ValidateContainerID(args.ContainerID); err != nil {
		return key{}, invalidVariable("CNI_CONTAINERID", "%q: %s", args.ContainerID, err.Msg)
	}
	if len(args.ContainerID) > longestContainerID {
		return key{}, invalidVariable("CNI_CONTAINERID", "is longer than %d bytes", longestContainerID)
	}
	if err := utils.ValidateInterfaceName(args.IfName); err != nil {
		return key{}, invalidVariable("CNI_IFNAME", "%q: %s", args.IfName, err.Msg)
	}
	return key{args.ContainerID, args.IfName}, nil
}
