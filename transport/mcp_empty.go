package transport

import (
	"encoding/json"

	"github.com/modelcontextprotocol/go-sdk/mcp"
)

// emptyText is an embedded resource whose text is empty. The SDK leaves an empty text out, and clients
// refuse a resource that has neither a text nor a blob.
type emptyText struct{ *mcp.EmbeddedResource }

// MarshalJSON implements json.Marshaler.
func (e emptyText) MarshalJSON() ([]byte, error) {
	data, err := e.EmbeddedResource.MarshalJSON()
	if err != nil {
		return nil, err
	}
	return changed(data, "resource", withText)
}

// keepText returns a content that is written with its text, also when that is empty.
func keepText(c mcp.Content) mcp.Content {
	if e, ok := c.(*mcp.EmbeddedResource); ok && e.Resource != nil && lacksText(e.Resource) {
		return emptyText{e}
	}
	return c
}

// emptyTexts is the content of a resource of which some text is empty, as emptyText.
type emptyTexts struct{ *mcp.ReadResourceResult }

// MarshalJSON implements json.Marshaler.
func (e emptyTexts) MarshalJSON() ([]byte, error) {
	data, err := e.ReadResourceResult.MarshalJSON()
	if err != nil {
		return nil, err
	}
	return changed(data, "contents", func(written json.RawMessage) (json.RawMessage, error) {
		var all []json.RawMessage
		if err := json.Unmarshal(written, &all); err != nil {
			return nil, err
		}
		for n, one := range all {
			if all[n], err = withText(one); err != nil {
				return nil, err
			}
		}
		return json.Marshal(all)
	})
}

// keepTexts returns a result that is written with every text, also an empty one.
func keepTexts(result mcp.Result) mcp.Result {
	if read, ok := result.(*mcp.ReadResourceResult); ok && read != nil {
		for _, c := range read.Contents {
			if c != nil && lacksText(c) {
				return emptyTexts{read}
			}
		}
	}
	return result
}

func lacksText(c *mcp.ResourceContents) bool { return c.Text == "" && c.Blob == nil }

// withText adds an empty text to a resource that has neither a text nor a blob.
func withText(written json.RawMessage) (json.RawMessage, error) {
	var members map[string]json.RawMessage
	if err := json.Unmarshal(written, &members); err != nil {
		return nil, err
	}
	if members["text"] != nil || members["blob"] != nil {
		return written, nil
	}
	members["text"] = json.RawMessage(`""`)
	return json.Marshal(members)
}

// changed changes one member of an object.
func changed(object []byte, member string, change func(json.RawMessage) (json.RawMessage, error)) ([]byte, error) {
	var members map[string]json.RawMessage
	err := json.Unmarshal(object, &members)
	if err == nil {
		members[member], err = change(members[member])
	}
	if err != nil {
		return nil, err
	}
	return json.Marshal(members)
}
