package main

import (
	"bytes"
	"encoding/json"
	"net/netip"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/containernetworking/cni/pkg/types"
	"golang.org/x/sys/unix"
)

// contract holds what the plugin and the agent agree on. The agent's tests check themselves against the same file.
type contract struct {
	Paths struct {
		Socket, Untold, Complete, StateDir, Attachments, LeaseDir, BinDir string
	}
	Request               string
	Annotation            string
	AnnotationsCapability string
	Alias                 string
	Prefixes              map[string]string
	Sets                  map[string][]string
	Codes                 map[string]uint
	Limits                struct{ Networks, ContainerID, ReplyBytes int }
	Timeouts              struct{ AnswerMs int64 }
	CNIVersions           []string
	Interfaces            map[string][]string
	Configuration         json.RawMessage
	Questions             []json.RawMessage
	Answer                json.RawMessage
	Refusals              []struct {
		Status int
		Body   json.RawMessage
	}
	Record struct {
		File    string
		Content json.RawMessage
	}
	Sweep struct {
		Arguments []string
		Output    json.RawMessage
	}
}

func readContract(t *testing.T) contract {
	t.Helper()
	text, err := os.ReadFile("testdata/contract.json")
	if err != nil {
		t.Fatal(err)
	}
	var c contract
	strictly(t, text, &c)
	return c
}

// strictly decodes a text and fails if it has fields that the type does not have.
func strictly(t *testing.T, text []byte, into any) {
	t.Helper()
	decoder := json.NewDecoder(bytes.NewReader(text))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(into); err != nil {
		t.Fatalf("%s: %v", text, err)
	}
}

// same compares two values as JSON.
func same(t *testing.T, what string, got, want any) {
	t.Helper()
	plain := func(value any) (decoded any) {
		text, err := json.Marshal(value)
		if err != nil {
			t.Fatal(err)
		}
		if err := json.Unmarshal(text, &decoded); err != nil {
			t.Fatal(err)
		}
		return decoded
	}
	if g, w := plain(got), plain(want); !reflect.DeepEqual(g, w) {
		t.Errorf("%s is %v, in the contract %v", what, g, w)
	}
}

// golden decodes a text of the contract into the plugin's type and checks that encoding gives the same text. It returns
// the type's fields that are empty in the text.
func golden[T any](t *testing.T, what string, text []byte) (value T, empty []string) {
	t.Helper()
	strictly(t, text, &value)
	same(t, what, value, json.RawMessage(text))
	fields := reflect.ValueOf(value)
	for at := range fields.NumField() {
		if fields.Field(at).IsZero() {
			empty = append(empty, fields.Type().Field(at).Name)
		}
	}
	return value, empty
}

func TestTheConstantsAreThoseOfTheContract(t *testing.T) {
	c := readContract(t)
	for what, pair := range map[string][2]any{
		"the socket":             {defaultSocket, c.Paths.Socket},
		"what no agent took":     {defaultSocket + untoldSuffix, c.Paths.Untold},
		"the mark":               {markerBeside(defaultSocket), c.Paths.Complete},
		"the state directory":    {defaultStateDir, c.Paths.StateDir},
		"the records' directory": {recordsIn(defaultStateDir).dir, c.Paths.Attachments},
		"the lease directory":    {defaultLeaseDir, c.Paths.LeaseDir},
		"the plugins' directory": {defaultBinDir, c.Paths.BinDir},
		"the request":            {"POST " + networksPath, c.Request},
		"the annotation":         {networkAnnotation, c.Annotation},
		"the capability":         {annotationsCapability, c.AnnotationsCapability},
		"the alias":              {alias, c.Alias},
		"the bridges' prefix":    {bridgePrefix, c.Prefixes["cni"]},
		"the ports' prefix":      {portPrefix, c.Prefixes["port"]},
		"the prefix of a send's": {probePrefix, c.Prefixes["probe"]},
		"the code of a retry":    {types.ErrTryAgainLater, c.Codes["tryAgain"]},
		"the code of a full one": {subnetFull, c.Codes["subnetFull"]},
		"the most networks":      {mostNetworks, c.Limits.Networks},
		"the longest container":  {longestContainerID, c.Limits.ContainerID},
		"the longest reply":      {replyLimit, c.Limits.ReplyBytes},
		"the time for an answer": {agentTimeout.Milliseconds(), c.Timeouts.AnswerMs},
	} {
		same(t, what, pair[0], pair[1])
	}
	for _, version := range c.CNIVersions {
		if !slices.Contains(versions.SupportedVersions(), version) {
			t.Errorf("CNI %s is not supported", version)
		}
	}
}

func TestTheSetsAreThoseOfTheContract(t *testing.T) {
	found := map[string][]string{}
	for _, address := range []string{"9.0.1.2", "fd01:b::2"} {
		one := claim{"c-0123456789ab", []byte{10, 0, 0, 0, 0, 1}, netip.MustParseAddr(address)}
		for _, element := range []element{one.port(), one.lease()} {
			// "set NAME of table FAMILY TABLE: …"
			words := strings.Fields(strings.Split(element.request(unix.NFT_MSG_NEWSETELEM, 0).what, ":")[0])
			table := strings.Join(words[4:], " ")
			found[table] = append(found[table], words[1])
		}
	}
	same(t, "the sets", found, readContract(t).Sets)
}

func TestTheConfigurationIsThatOfTheContract(t *testing.T) {
	c := readContract(t)
	var entry map[string]any
	strictly(t, c.Configuration, &entry)
	entry["name"] = "dcos"
	entry["runtimeConfig"] = map[string]any{c.AnnotationsCapability: map[string]string{c.Annotation: "dual"}}
	text, err := json.Marshal(entry)
	if err != nil {
		t.Fatal(err)
	}
	conf, err := parseConfig(text)
	if err != nil {
		t.Fatal(err)
	}
	same(t, "the network", conf.Network, entry["network"])
	same(t, "the socket", conf.Socket, entry["socket"])
	same(t, "the state directory", conf.StateDir, entry["stateDir"])
	same(t, "the lease directory", conf.LeaseDir, entry["leaseDir"])
	same(t, "the annotation", conf.RuntimeConfig.Annotations.of[networkAnnotation], "dual")
	same(t, "the capability", conf.Capabilities[annotationsCapability], true)
}

func TestTheQuestionsAreThoseOfTheContract(t *testing.T) {
	missing := map[string]int{}
	questions := readContract(t).Questions
	for _, text := range questions {
		_, empty := golden[question](t, "a question", text)
		for _, field := range empty {
			missing[field]++
		}
	}
	for field, times := range missing {
		if times == len(questions) {
			t.Errorf("no question of the contract has %s", field)
		}
	}
}

func TestTheAnswerIsThatOfTheContract(t *testing.T) {
	c := readContract(t)
	networks, err := parseNetworks(c.Answer, "eth0")
	if err != nil {
		t.Fatal(err)
	}
	var understood []map[string]any
	for _, one := range networks {
		understood = append(understood, map[string]any{
			"name": one.Name, "interface": one.Interface, "bridge": one.Bridge, "mtu": one.MTU,
			"gatewayMAC": one.GatewayMAC.String(), "ranges": one.Ranges, "routes": one.Routes,
		})
	}
	var said struct{ Networks []map[string]any }
	strictly(t, c.Answer, &said)
	for _, one := range said.Networks {
		one["routes"] = slices.Concat(one["defaultRoutes"].([]any), one["routes"].([]any))
		delete(one, "defaultRoutes")
	}
	same(t, "the answer", understood, said.Networks)
}

func TestTheRefusalsAreThoseOfTheContract(t *testing.T) {
	for _, one := range readContract(t).Refusals {
		same(t, "a refusal", refusal("agent.sock", one.Status, one.Body), one.Body)
	}
}

func TestTheRecordIsThatOfTheContract(t *testing.T) {
	c := readContract(t)
	record, empty := golden[attachment](t, "the record", c.Record.Content)
	if len(empty) > 0 {
		t.Errorf("the record of the contract lacks %v", empty)
	}
	same(t, "the record's file", filepath.Base(recordsIn("state").path(record.key())), c.Record.File)
	for _, one := range record.Interfaces {
		id := identify(record.ContainerID, one.Name)
		same(t, "the port", one.Host, id.host)
		same(t, "the hardware address", one.MAC, id.innerMAC.String())
		if len(leasable(one.Addresses)) < len(one.Addresses) && !slices.Contains(one.Addresses, linkLocal(id.innerMAC)) {
			t.Errorf("%v lack %s", one.Addresses, linkLocal(id.innerMAC))
		}
	}
	store := records{t.TempDir()}
	if err := store.write(&record); err != nil {
		t.Fatal(err)
	}
	again, err := readRecord(filepath.Join(store.dir, c.Record.File))
	if err != nil {
		t.Fatal(err)
	}
	same(t, "the record as it is read", again, c.Record.Content)
}

func TestASweepPrintsWhatTheContractSays(t *testing.T) {
	c := readContract(t)
	if _, empty := golden[swept](t, "the output of sweep", c.Sweep.Output); len(empty) > 0 {
		t.Errorf("the output in the contract lacks %v", empty)
	}
	dir := t.TempDir()
	arguments := append([]string{}, c.Sweep.Arguments...)
	for at, one := range arguments {
		if filepath.IsAbs(one) {
			arguments[at] = filepath.Join(dir, one)
		}
	}
	same(t, "the command", arguments[0], "sweep")
	var out bytes.Buffer
	if err := sweep(arguments[1:], &out); err != nil {
		t.Fatal(err)
	}
	same(t, "what nothing to sweep gives", json.RawMessage(out.Bytes()), swept{[]string{}, 0})
}

func TestInterfacesThatAreLookedForWithoutARecordAreThoseOfTheContract(t *testing.T) {
	for first, names := range readContract(t).Interfaces {
		same(t, "the first interface", names[0], first)
		same(t, "the number of interfaces", len(names), mostNetworks)
		for _, name := range names[1:] {
			if !slices.Contains(beside(first), name) {
				t.Errorf("beside %s, %s is not looked for", first, name)
			}
		}
	}
}
