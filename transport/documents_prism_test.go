package transport_test

import (
	"encoding/json"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// servedBy changes a document for Prism: without servers and credentials, which its calls
// can't fit, and with the defaults of OpenAPI for arrays in forms, which it doesn't know.
func servedBy(document map[string]any) {
	for _, name := range []string{"servers", "security", "host", "basePath", "schemes"} {
		delete(document, name)
	}
	paths, _ := document["paths"].(map[string]any)
	for _, item := range paths {
		operations, _ := item.(map[string]any)
		delete(operations, "servers")
		for _, one := range operations {
			operation, _ := one.(map[string]any)
			for _, name := range []string{"servers", "security", "schemes"} {
				delete(operation, name)
			}
			body, _ := operation["requestBody"].(map[string]any)
			content, _ := body["content"].(map[string]any)
			form, _ := content["application/x-www-form-urlencoded"].(map[string]any)
			if form["encoding"] == nil {
				explodeArrays(document, form)
			}
		}
	}
}

func explodeArrays(document, form map[string]any) {
	schema, _ := form["schema"].(map[string]any)
	properties, _ := schema["properties"].(map[string]any)
	encoding := map[string]any{}
	for name, one := range properties {
		property, _ := one.(map[string]any)
		if ref, ok := property["$ref"].(string); ok {
			components, _ := document["components"].(map[string]any)
			schemas, _ := components["schemas"].(map[string]any)
			property, _ = schemas[ref[strings.LastIndex(ref, "/")+1:]].(map[string]any)
			properties[name] = property
		}
		if property["type"] == "array" {
			encoding[name] = map[string]any{"style": "form", "explode": true}
		}
	}
	if len(encoding) > 0 {
		form["encoding"] = encoding
	}
}

// plain returns a value of YAML as JSON has it.
func plain(v any) any {
	switch v := v.(type) {
	case map[string]any:
		for name, one := range v {
			v[name] = plain(one)
		}
	case map[any]any:
		named := map[string]any{}
		for name, one := range v {
			named[fmt.Sprint(name)] = plain(one)
		}
		return named
	case []any:
		for n, one := range v {
			v[n] = plain(one)
		}
	case time.Time:
		return v.Format(time.DateOnly)
	}
	return v
}

// startPrism serves a document and returns the URL.
func startPrism(t *testing.T, program string, document map[string]any) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	at := listener.Addr().String()
	require.NoError(t, listener.Close())
	_, port, _ := net.SplitHostPort(at)
	data, err := json.Marshal(document)
	require.NoError(t, err)
	file := filepath.Join(t.TempDir(), "document.json")
	require.NoError(t, os.WriteFile(file, data, 0o600))
	started := exec.CommandContext(t.Context(), program, "mock", "--errors", "-h", "127.0.0.1", "-p", port, file)
	output, err := os.Create(file + ".log")
	require.NoError(t, err)
	started.Stdout, started.Stderr = output, output
	require.NoError(t, started.Start())
	t.Cleanup(func() { _ = started.Process.Kill(); _ = started.Wait(); _ = output.Close() })
	require.Eventually(t, func() bool {
		conn, err := net.Dial("tcp", at)
		if err == nil {
			_ = conn.Close()
		}
		return err == nil
	}, 3*time.Minute, 100*time.Millisecond, "Prism listens")
	return "http://" + at
}
