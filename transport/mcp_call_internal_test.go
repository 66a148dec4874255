package transport

import (
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestOnlyACallThatAsksForNothingElseIsPlain(t *testing.T) {
	t.Parallel()
	c, ok := readPlainCall([]byte(`{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{"name":"crm__list","arguments":{"day":1}}}`))
	require.True(t, ok)
	require.Equal(t, 7.0, c.id)
	require.Equal(t, "crm__list", c.name)
	require.Len(t, c.arguments, 1)
	for _, message := range []string{
		`{"jsonrpc":"2.0","id":"a","method":"tools/call","params":{"name":"crm__list"}}`,
		`{"jsonrpc":"2.0","id":-9007199254740992,"method":"tools/call","params":{"name":"crm__list","arguments":null}}`,
	} {
		_, ok := readPlainCall([]byte(message))
		require.True(t, ok, message)
	}
	for _, message := range []string{
		`[{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{"name":"crm__list"}}]`,
		`{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{"name":"crm__list","_meta":{}}}`,
		`{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{"name":"crm__list","inputResponses":{}}}`,
		`{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{"name":"crm__list","arguments":[]}}`,
		`{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{"name":"crm__list","arguments":{"a":1,"a":2}}}`,
		`{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{"name":7}}`,
		`{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{}}`,
		`{"jsonrpc":"2.0","id":7,"method":"tools/call","params":null}`,
		`{"jsonrpc":"2.0","id":7,"method":"tools/call"}`,
		`{"jsonrpc":"2.0","id":7,"method":"tools/list","params":{"name":"crm__list"}}`,
		`{"jsonrpc":"2.0","id":7.5,"method":"tools/call","params":{"name":"crm__list"}}`,
		`{"jsonrpc":"2.0","id":9007199254740993,"method":"tools/call","params":{"name":"crm__list"}}`,
		`{"jsonrpc":"2.0","id":null,"method":"tools/call","params":{"name":"crm__list"}}`,
		`{"jsonrpc":"2.0","method":"tools/call","params":{"name":"crm__list"}}`,
		`{"jsonrpc":"1.0","id":7,"method":"tools/call","params":{"name":"crm__list"}}`,
		`{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{"name":"crm__list"},"more":1}`,
		`{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{"name":"crm__list"}} {}`,
		`nonsense`,
	} {
		_, ok := readPlainCall([]byte(message))
		require.False(t, ok, message)
	}
}

func TestOnlyHeadersOfEveryVersionArePlain(t *testing.T) {
	t.Parallel()
	plain := func(change func(http.Header)) bool {
		h := http.Header{"Content-Type": {"application/json; charset=utf-8"}, "Accept": {"application/json", "text/event-stream"}}
		change(h)
		return isPlain(h)
	}
	require.True(t, plain(func(http.Header) {}))
	require.True(t, plain(func(h http.Header) { h["Accept"] = []string{"application/json, text/event-stream"} }))
	for _, version := range plainVersions {
		require.True(t, plain(func(h http.Header) { h.Set("Mcp-Protocol-Version", version) }))
	}
	require.False(t, plain(func(h http.Header) { h.Set("Mcp-Protocol-Version", "2026-07-28") }))
	require.False(t, plain(func(h http.Header) { h.Set("Mcp-Protocol-Version", "1") }))
	require.False(t, plain(func(h http.Header) { h.Set("Last-Event-ID", "1") }))
	require.False(t, plain(func(h http.Header) { h.Set("Content-Type", "text/plain") }))
	require.False(t, plain(func(h http.Header) { h.Set("Accept", "application/json") }))
	require.False(t, plain(func(h http.Header) { h.Del("Accept") }))
}
