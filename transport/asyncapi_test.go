package transport_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/santhosh-tekuri/jsonschema/v6"
	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v4"

	"github.com/seed677028b5/integrations/audit"
	"github.com/seed677028b5/integrations/domain"
	"github.com/seed677028b5/integrations/internal/natstest"
	"github.com/seed677028b5/integrations/internal/peers"
	"github.com/seed677028b5/integrations/transport"
)

func of(change domain.AuthorizationEvent) domain.Event {
	return domain.AuthorizationChanged{Change: change}
}

// eventTypes returns an event of each stored type, by name with the present version.
func eventTypes(t *testing.T) map[string]domain.Event {
	t.Helper()
	types := map[string]domain.Event{}
	for _, e := range []domain.Event{
		domain.IntegrationCreated{},
		domain.IntegrationUpdated{},
		domain.IntegrationDeleted{},
		domain.IntegrationProbed{},
		domain.IntegrationInvoked{},
		of(domain.ClientRegistered{}), of(domain.AuthorizationStarted{}), of(domain.Authorized{}), of(domain.AuthorizationRestored{}),
		of(domain.AuthorizationLost{}), of(domain.AuthorizationRevoked{}), of(domain.RevocationEnded{}), of(domain.AuthorizationProven{}),
		domain.CallRequested{},
		domain.CallApproved{},
		domain.CallDenied{},
		domain.CallExpired{},
		domain.CallStarted{},
		domain.CallMade{},
		domain.CallCancelled{},
		domain.CallLost{},
	} {
		stored, err := domain.Codec{}.Encode(e)
		require.NoError(t, err)
		types[fmt.Sprintf("%s.v%d", stored.Name, stored.Version)] = e
	}
	files, err := filepath.Glob("../domain/testdata/history/*.json")
	require.NoError(t, err)
	for _, file := range files { // so that none is forgotten above
		name, _, _ := strings.Cut(filepath.Base(file), ".v")
		require.True(t, slices.ContainsFunc(slices.Collect(maps.Keys(types)), func(known string) bool { return strings.HasPrefix(known, name+".v") }), file)
	}
	return types
}

// asyncAPI returns the document as decoded JSON.
func asyncAPI(t *testing.T) map[string]any {
	t.Helper()
	text, err := os.ReadFile("asyncapi.yaml")
	require.NoError(t, err)
	var document any
	require.NoError(t, yaml.Unmarshal(text, &document))
	data, err := json.Marshal(document)
	require.NoError(t, err)
	decoded, err := jsonschema.UnmarshalJSON(strings.NewReader(string(data)))
	require.NoError(t, err)
	members, ok := decoded.(map[string]any)
	require.True(t, ok)
	return members
}

// in returns the value at a path of a decoded document.
func in(t *testing.T, document map[string]any, names ...string) map[string]any {
	t.Helper()
	for _, name := range names {
		next, ok := document[name].(map[string]any)
		require.True(t, ok, "there is no %s", strings.Join(names, "/"))
		document = next
	}
	return document
}

// schemaOf compiles a schema of the document.
func schemaOf(t *testing.T, name string) *jsonschema.Schema {
	t.Helper()
	c := jsonschema.NewCompiler()
	c.DefaultDraft(jsonschema.Draft7) // of which the schemas of AsyncAPI are a superset
	c.AssertFormat()
	require.NoError(t, c.AddResource("https://example.com/asyncapi.yaml", asyncAPI(t)))
	s, err := c.Compile("https://example.com/asyncapi.yaml#/components/schemas/" + name)
	require.NoError(t, err)
	return s
}

func holds(t *testing.T, schema string, data []byte) {
	t.Helper()
	value, err := jsonschema.UnmarshalJSON(strings.NewReader(string(data)))
	require.NoError(t, err)
	require.NoError(t, schemaOf(t, schema).Validate(value), schema)
}

// A stream is that of a channel, or the description says that it is not for subscribers.
func TestEveryStreamIsDescribedOrNamedAsPrivate(t *testing.T) {
	t.Parallel()
	nc := natstest.Connect(t)
	serve(t, proven, func(set *settings) { set.nats = nc })
	js, err := jetstream.New(nc)
	require.NoError(t, err)
	document := asyncAPI(t)
	about, _ := in(t, document, "info")["description"].(string)
	channels, err := json.Marshal(in(t, document, "channels"))
	require.NoError(t, err)
	streams := 0
	for name := range js.StreamNames(t.Context()).Name() {
		if strings.HasPrefix(name, "KV_") {
			continue
		}
		streams++
		described, private := strings.Contains(string(channels), "in the stream "+name), strings.Contains(about, "`"+name+"`")
		require.True(t, described != private, "%s: described %t, private %t", name, described, private)
	}
	require.Greater(t, streams, 10)
}

func TestExactlyTheStoredEventsAreDescribed(t *testing.T) {
	document := asyncAPI(t)
	names := []string{}
	versioned := regexp.MustCompile(`\.v\d+$`)
	for name := range in(t, document, "components", "schemas") {
		if versioned.MatchString(name) {
			names = append(names, name)
		}
	}
	require.ElementsMatch(t, slices.Collect(maps.Keys(eventTypes(t))), names)

	carried := []string{} // by a message of a channel that is a subject
	for name, channel := range in(t, document, "channels") {
		if name == "stream" || name == "callStream" || name == "probeStream" || name == "approvalStream" {
			continue
		}
		messages := in(t, map[string]any{"channel": channel}, "channel", "messages")
		for _, reference := range messages {
			pointer, _ := in(t, map[string]any{"r": reference}, "r")["$ref"].(string)
			message := in(t, document, strings.Split(strings.TrimPrefix(pointer, "#/"), "/")...)
			payload, _ := in(t, message, "payload")["$ref"].(string)
			schema := strings.TrimPrefix(payload, "#/components/schemas/")
			carried = append(carried, schema)
			data, err := json.Marshal(message["headers"])
			require.NoError(t, err)
			require.Contains(t, string(data), `{"ce-type":{"const":"`+schema+`"}}`)
		}
	}
	require.ElementsMatch(t, names, carried)
}

func TestStoredEventsMatchTheirDescription(t *testing.T) {
	for name := range eventTypes(t) {
		data, err := os.ReadFile("../domain/testdata/history/" + name + ".json")
		require.NoError(t, err)
		holds(t, name, data)
	}
}

func TestTheSchemasHaveTheFieldsOfTheEvents(t *testing.T) {
	for name, e := range eventTypes(t) {
		sameFields(t, asyncAPI(t), name, reflect.TypeOf(e))
		if changed, ok := e.(domain.AuthorizationChanged); ok {
			change := reflect.TypeOf(changed.Change)
			data, err := json.Marshal(in(t, asyncAPI(t), "components", "schemas", name, "properties", "change"))
			require.NoError(t, err)
			require.Contains(t, string(data), `"#/components/schemas/`+change.Name()+`"`)
			sameFields(t, asyncAPI(t), change.Name(), change)
		}
	}
}

// sameFields compares a schema with the fields of a struct, and the schemas it refers to with
// theirs.
func sameFields(t *testing.T, document map[string]any, name string, of reflect.Type) {
	t.Helper()
	schema := in(t, document, "components", "schemas", name)
	properties := in(t, schema, "properties")
	require.Equal(t, false, schema["additionalProperties"], name)
	all, always := []string{}, []any{}
	for _, field := range reflect.VisibleFields(of) {
		tag, option, _ := strings.Cut(field.Tag.Get("json"), ",")
		if tag == "" {
			continue
		}
		all = append(all, tag)
		if option == "" {
			always = append(always, tag)
		}
		inner := field.Type
		for inner.Kind() == reflect.Pointer || inner.Kind() == reflect.Slice || inner.Kind() == reflect.Map {
			inner = inner.Elem()
		}
		if inner.Kind() == reflect.Struct && inner != reflect.TypeFor[time.Time]() {
			data, err := json.Marshal(properties[tag])
			require.NoError(t, err)
			require.Contains(t, string(data), `"#/components/schemas/`+inner.Name()+`"`, "%s/%s", name, tag)
			sameFields(t, document, inner.Name(), inner)
		}
	}
	require.ElementsMatch(t, slices.Collect(maps.Keys(properties)), all, name)
	require.ElementsMatch(t, schema["required"], always, name)
}

func TestStreamedEventsMatchTheirDescription(t *testing.T) {
	for _, e := range []audit.Entry{
		{Position: 7, ID: domain.NewID("acme", "crm"), Name: "crm", Version: 2, Type: "integration.updated", At: time.Unix(1, 0), Actor: "k", Changed: []string{"/enabled"}},
		{Position: 8, ID: domain.NewID("acme", "crm"), Unread: "it can't be read"},
		{Position: 9, ID: domain.NewID("acme", "crm"), Name: "crm", Type: "integration.authorization_lost", Actor: "system", Authorization: &domain.AuthorizationChanged{
			Key: "7f", State: domain.Authorization{State: domain.ReauthorizationRequired, Lost: domain.LossRefused},
		}},
	} {
		_, data, _ := strings.Cut(string(transport.EncodeEvent(e)), "\ndata: ")
		holds(t, "Told", []byte(data))
	}
}

func TestStreamedCallsMatchTheirDescription(t *testing.T) {
	id := domain.NewID("acme", "crm")
	for _, e := range []audit.Entry{
		{Position: 7, ID: id, Name: "crm", Version: 2, Type: "integration.invoked", At: time.Unix(1, 0), Actor: "k", Call: &domain.IntegrationInvoked{
			Endpoint: "list", Method: "GET", Kind: domain.MCPCall, StatusCode: 200, Outcome: domain.CallOK, Attempts: 1, Duration: time.Second,
		}},
		{Position: 8, ID: id, Unread: "it can't be read"},
	} {
		_, data, _ := strings.Cut(string(transport.EncodeCall(e)), "\ndata: ")
		holds(t, "Called", []byte(data))
	}
}

func TestTheDescriptionOfTheEventsIsServed(t *testing.T) {
	text, err := os.ReadFile("asyncapi.yaml")
	require.NoError(t, err)
	require.Equal(t, string(text), serve(t).send(request{method: http.MethodGet, path: "/asyncapi.yaml", key: "none"}).is(200).text)
}

// The schema is the one published by the AsyncAPI project.
func TestTheDescriptionOfTheEventsIsValidAsyncAPI(t *testing.T) {
	file, err := os.Open(filepath.Join(peers.Dir(t), "node_modules", "@asyncapi", "specs", "schemas", "3.0.0.json"))
	require.NoError(t, err)
	defer func() { _ = file.Close() }()
	published, err := jsonschema.UnmarshalJSON(file)
	require.NoError(t, err)
	c := jsonschema.NewCompiler()
	require.NoError(t, c.AddResource("https://example.com/3.0.0.json", published))
	schema, err := c.Compile("https://example.com/3.0.0.json")
	require.NoError(t, err)
	document := asyncAPI(t)
	require.NoError(t, schema.Validate(document))

	document["channels"] = 7
	require.Error(t, schema.Validate(document))
}

func TestEveryReferenceInTheDescriptionOfTheEventsResolves(t *testing.T) {
	text, err := os.ReadFile("asyncapi.yaml")
	require.NoError(t, err)
	document := asyncAPI(t)
	for _, m := range regexp.MustCompile(`\$ref: '#/([^']+)'`).FindAllStringSubmatch(string(text), -1) {
		in(t, document, strings.Split(m[1], "/")...)
	}
}
