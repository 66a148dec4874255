package domain

import (
	"crypto/sha1" //nolint:gosec // UUID version 5 is defined with SHA-1 (RFC 9562, 5.5); nothing relies on its strength
	"fmt"
	"regexp"
	"strings"
)

// Workspace is the id of a workspace. ParseWorkspace keeps dots and wildcards out
// of it, and so out of subjects.
type Workspace string

var workspaceSyntax = regexp.MustCompile(`^[A-Za-z0-9_-]{1,64}$`)

// ParseWorkspace returns s as a Workspace, or an Invalid error.
func ParseWorkspace(s string) (Workspace, error) {
	if !workspaceSyntax.MatchString(s) {
		return "", Errorf(Invalid, "workspace_invalid", "a workspace id is 1 to 64 letters, digits, hyphens or underscores")
	}
	return Workspace(s), nil
}

// ID identifies an integration: a UUID.
type ID string

const uuidLength = 36

var uuidSyntax = regexp.MustCompile(`^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$`)

// Ref identifies an integration across workspaces.
type Ref struct {
	Workspace Workspace
	ID        ID
}

// namespace is the UUID from which the ids of integrations are derived.
var namespace = [16]byte{0x6f, 0x1d, 0x3c, 0x5a, 0x8e, 0x42, 0x4b, 0x9c, 0x9a, 0x77, 0x0b, 0x25, 0xd4, 0xe8, 0x31, 0xfe}

// NewID returns the id of the integration called name in workspace w: a UUID
// version 5 (RFC 9562) of both, so that a unique name has a unique id.
func NewID(w Workspace, name string) ID {
	h := sha1.New() //nolint:gosec // see the import
	h.Write(namespace[:])
	h.Write([]byte(string(w) + "/" + name))
	u := h.Sum(nil)[:16]
	u[6] = u[6]&0x0f | 0x50
	u[8] = u[8]&0x3f | 0x80
	return ID(fmt.Sprintf("%x-%x-%x-%x-%x", u[0:4], u[4:6], u[6:8], u[8:10], u[10:16]))
}

// ParseID returns the id of the integration that idOrName refers to in workspace w.
// A UUID is an id; names can't look like one.
func ParseID(w Workspace, idOrName string) ID {
	if len(idOrName) == uuidLength {
		if lower := strings.ToLower(idOrName); uuidSyntax.MatchString(lower) {
			return ID(lower)
		}
	}
	return NewID(w, idOrName)
}
