package connectors

import (
	"encoding/json"
	"net/http"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/seed677028b5/integrations/domain"
)

func TestUpstreamsSeeTheVersionOfTheProduct(t *testing.T) {
	base, last := recorder(t)
	r := registry(t, Config{AllowLoopback: true, Version: "v1.2.3"})
	succeeds(t, r, calling(base, nil, func(*domain.Endpoint) {}))
	require.Equal(t, "integrations/v1.2.3", last().Header.Get("User-Agent"))

	var mu sync.Mutex
	agents, client := map[string]bool{}, ""
	at := answering(t, func(w http.ResponseWriter, req *http.Request, method string, id json.RawMessage) {
		mu.Lock()
		defer mu.Unlock()
		agents[req.Header.Get("User-Agent")] = true
		switch {
		case req.Method != http.MethodPost:
			w.WriteHeader(http.StatusMethodNotAllowed)
		case method == "server/discover":
			replies(w, id, `"error":{"code":-32601,"message":"no such method"}`)
		case method == "initialize":
			var message struct {
				Params struct {
					ClientInfo struct{ Version string }
				}
			}
			_ = json.NewDecoder(req.Body).Decode(&message)
			client = message.Params.ClientInfo.Version
			replies(w, id, `"result":{"protocolVersion":"2025-06-18","capabilities":{"tools":{}},"serverInfo":{"name":"x","version":"0"}}`)
		case id == nil:
			w.WriteHeader(http.StatusAccepted)
		default:
			replies(w, id, `"result":{"content":[{"type":"text","text":"ok"}]}`)
		}
	})
	succeeds(t, r, own(domain.HTTP, at))
	mu.Lock()
	defer mu.Unlock()
	require.Equal(t, map[string]bool{"integrations/v1.2.3": true}, agents)
	require.Equal(t, "v1.2.3", client)
}
