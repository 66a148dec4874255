package transport

import (
	"encoding/json"
	"net/http"
	"slices"
	"strconv"
	"time"

	"github.com/seed677028b5/integrations/access"
	"github.com/seed677028b5/integrations/domain"
)

// keyAnswer is the representation of an API key. Its text is only present when it was just
// created.
type keyAnswer struct {
	ID          string              `json:"id"`
	WorkspaceID domain.Workspace    `json:"workspace_id"`
	Name        string              `json:"name"`
	Permissions []access.Permission `json:"permissions"`

	Integrations []string `json:"integrations"` // null: all
	Tools        []string `json:"tools"`        // null: all
	Methods      []string `json:"methods"`      // null: all
	Subjects     []string `json:"subjects"`     // null: all

	CreatedAt  time.Time  `json:"created_at"`
	CreatedBy  string     `json:"created_by"`
	ExpiresAt  *time.Time `json:"expires_at"`
	RotatedAt  *time.Time `json:"rotated_at"`
	LastUsedAt *time.Time `json:"last_used_at"`
	Key        string     `json:"key,omitempty"`
}

func (s *Server) showKey(k access.Key, text string) keyAnswer {
	return keyAnswer{
		ID: k.ID, WorkspaceID: k.Workspace, Name: k.Name, Permissions: k.Permissions,
		Integrations: k.Integrations, Tools: k.Tools, Methods: k.Methods, Subjects: k.Subjects, CreatedAt: instant(k.CreatedAt), CreatedBy: k.CreatedBy,
		ExpiresAt: nullable(instant(k.ExpiresAt)), RotatedAt: nullable(instant(k.RotatedAt)), LastUsedAt: nullable(instant(s.Keys.LastUsed(k.ID))), Key: text,
	}
}

func (s *Server) issueKey(r *request) (answer, error) {
	doc, _, err := r.body(maxBody, false)
	if err != nil {
		return answer{}, err
	}
	key, err := readKey(doc, s.Now())
	if err != nil {
		return answer{}, err
	}
	if err := r.mayGive(key, s.Now()); err != nil {
		return answer{}, err
	}
	key.Workspace, key.CreatedBy = r.workspace, r.key.ID
	key = key.IssuedBy(r.key)
	key, text, err := s.Keys.Issue(r, key)
	if err != nil {
		return answer{}, err
	}
	return answer{status: http.StatusCreated, body: s.showKey(key, text)}, nil
}

// mayGive refuses to issue a key with more permissions than the caller's, that sees more, or
// with a longer validity.
func (r *request) mayGive(key access.Key, now time.Time) error {
	for _, p := range key.Permissions {
		if !r.key.May(p) {
			return domain.Errorf(domain.Forbidden, "forbidden", "a key can't grant the permission %s, which it doesn't have itself", p)
		}
	}
	if !key.Within(r.key.Scope) {
		return domain.Errorf(domain.Forbidden, "forbidden", "a key can't issue a key that sees more than itself: narrow it by the same lists")
	}
	if end := r.key.IssuesUntil(now); key.Outlives(end) {
		return domain.Errorf(domain.Forbidden, "forbidden", "this %s can't issue a key that is valid beyond %s", r.key.Kind(), end.UTC().Format(time.RFC3339))
	}
	return nil
}

// patterns reads a list that narrows a key, nil when it is absent or null. An empty one is
// refused: it could mean nothing or everything.
func patterns(doc domain.Document, name string, problems *[]domain.Problem) (all []string) {
	given, ok := doc[name].([]any)
	for _, one := range given {
		text, isText := one.(string)
		all, ok = append(all, text), ok && isText
	}
	if doc[name] != nil && (!ok || len(given) == 0) {
		*problems = append(*problems, domain.Problem{Pointer: pointer(name), Code: "type", Detail: "must be an array of at least one string, or null for all"})
		return nil
	}
	return all
}

// maxKeyDays is the longest validity of a key in duration_days: ten years.
const maxKeyDays = 3650

// readKey reads the body of a new key: name, permissions, and optionally its end, as
// expires_at or as duration_days, and the lists that narrow it.
func readKey(doc domain.Document, now time.Time) (access.Key, error) {
	var key access.Key
	var problems []domain.Problem
	problem := func(name, code, detail string) {
		problems = append(problems, domain.Problem{Pointer: pointer(name), Code: code, Detail: detail})
	}
	var ok bool
	if key.Name, ok = doc["name"].(string); !ok || key.Name == "" || len(key.Name) > 128 {
		problem("name", "required", "must be a string of 1 to 128 bytes")
	}
	given, _ := doc["permissions"].([]any)
	if len(given) == 0 {
		problem("permissions", "required", "must be an array with at least one permission")
	}
	for n, one := range given {
		name, _ := one.(string)
		p := access.Permission(name)
		if !slices.Contains(access.Permissions(), p) {
			problems = append(problems, domain.Problem{Pointer: "/permissions/" + strconv.Itoa(n), Code: "enum", Detail: "is not a permission"})
		}
		if !slices.Contains(key.Permissions, p) {
			key.Permissions = append(key.Permissions, p)
		}
	}
	if doc["expires_at"] != nil {
		text, _ := doc["expires_at"].(string)
		at, err := time.Parse(time.RFC3339, text)
		key.ExpiresAt = at.UTC() // may be in a year that can't be formatted
		if err != nil || !at.After(now) || key.ExpiresAt.Year() > 9999 {
			problem("expires_at", "range", "must be a future time (RFC 3339)")
		}
	}
	if value := doc["duration_days"]; value != nil {
		number, _ := value.(json.Number)
		days, whole := domain.WholeNumber(number)
		switch {
		case doc["expires_at"] != nil:
			problem("duration_days", "not_allowed", "must not be given with expires_at")
		case !whole || days < 1 || days > maxKeyDays:
			problem("duration_days", "range", "must be a whole number from 1 to "+strconv.Itoa(maxKeyDays))
		default:
			key.ExpiresAt = now.UTC().AddDate(0, 0, int(days))
		}
	}
	key.Integrations = patterns(doc, "integrations", &problems)
	key.Tools = patterns(doc, "tools", &problems)
	key.Methods = patterns(doc, "methods", &problems)
	key.Subjects = patterns(doc, "subjects", &problems)
	problems = append(problems, key.Problems()...)
	if detail := key.ScopeProblem(); detail != "" {
		problem("permissions", "not_allowed", detail)
	}
	problems = append(problems, unknownMembers("", doc, "name", "permissions", "integrations", "tools", "methods", "subjects", "expires_at", "duration_days")...)
	return key, domain.RefuseAll(problems)
}

func (s *Server) listKeys(r *request) (answer, error) {
	keys := slices.DeleteFunc(s.Keys.List(r.workspace), func(k access.Key) bool { return !k.Within(r.key.Scope) })
	body := struct {
		Items []keyAnswer `json:"items"`
		Total int         `json:"total"`
	}{Items: make([]keyAnswer, len(keys)), Total: len(keys)}
	for n, k := range keys {
		body.Items[n] = s.showKey(k, "")
	}
	return answer{status: http.StatusOK, body: body}, nil
}

// revokeKey ends a key. A caller may only revoke keys with permissions of their own, and
// their own key.
func (s *Server) revokeKey(r *request) (answer, error) {
	for _, k := range s.Keys.List(r.workspace) {
		if k.ID != r.Param("key") || k.ID == r.key.ID {
			continue
		}
		if !k.Within(r.key.Scope) {
			return answer{}, domain.Errorf(domain.Forbidden, "forbidden", "a key can't revoke one that sees more than itself")
		}
		for _, p := range k.Permissions {
			if !r.key.May(p) {
				return answer{}, domain.Errorf(domain.Forbidden, "forbidden", "a key can't revoke one with the permission %s, which it doesn't have itself", p)
			}
		}
	}
	if err := s.Keys.Revoke(r, r.workspace, r.Param("key")); err != nil {
		return answer{}, err
	}
	return answer{status: http.StatusNoContent}, nil
}

// defaultOverlap is how long a secret stays valid after its rotation.
const (
	defaultOverlap = 3600 // seconds
	maxOverlap     = 7 * 24 * 3600
)

func (s *Server) rotateKey(r *request) (answer, error) {
	doc, _, err := r.body(maxBody, true)
	if err != nil {
		return answer{}, err
	}
	overlap, err := readOverlap(doc, defaultOverlap)
	if err != nil {
		return answer{}, err
	}
	for _, k := range s.Keys.List(r.workspace) {
		if k.ID != r.Param("key") {
			continue
		}
		if err := r.mayGive(k, s.Now()); err != nil { // the caller who rotates a key gets it
			return answer{}, err
		}
	}
	key, text, err := s.Keys.Rotate(r, r.workspace, r.Param("key"), overlap, r.key)
	if err != nil {
		return answer{}, err
	}
	return answer{status: http.StatusOK, body: s.showKey(key, text)}, nil
}

// readOverlap reads the body of a rotation: optionally overlap_seconds.
func readOverlap(doc domain.Document, overlap int64) (time.Duration, error) {
	problems := unknownMembers("", doc, "overlap_seconds")
	if value, given := doc["overlap_seconds"]; given {
		number, _ := value.(json.Number)
		var whole bool
		if overlap, whole = domain.WholeNumber(number); !whole || overlap < 0 || overlap > maxOverlap {
			problems = append(problems, domain.Problem{Pointer: "/overlap_seconds", Code: "range", Detail: "must be a whole number from 0 to " + strconv.Itoa(maxOverlap)})
		}
	}
	return time.Duration(overlap) * time.Second, domain.RefuseAll(problems)
}
