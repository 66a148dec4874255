package transport

import (
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/seed677028b5/integrations/authorizations"
	"github.com/seed677028b5/integrations/domain"
)

// importAuthorization takes over tokens that a subject has given elsewhere.
func (s *Server) importAuthorization(r *request) (answer, error) {
	doc, _, err := r.body(maxTestBody, false)
	if err != nil {
		return answer{}, err
	}
	subject, in, err := readImport(doc)
	if err != nil {
		return answer{}, err
	}
	if err := r.mayAuthorize(subject); err != nil {
		return answer{}, err
	}
	done, err := s.Commands.ImportAuthorization(r, r.caller, r.id(), subject, in)
	if err != nil {
		return answer{}, err
	}
	s.waitForWrite(r, s.Wait, done.Position)
	shown, err := s.Commands.Authorization(r, r.workspace, r.id(), subject)
	if err != nil {
		return answer{}, err
	}
	return answer{status: http.StatusCreated, body: showAuthorization(shown), header: map[string]string{positionHeader: strconv.FormatUint(done.Position, 10)}}, nil
}

// carriable reports whether requests can carry a token: whether it is of visible ASCII (RFC 6749,
// A.12 and A.17).
func carriable(token string) bool {
	return strings.TrimSpace(token) == token && !strings.ContainsFunc(token, func(c rune) bool { return c < ' ' || c > '~' })
}

// maxImportedToken bounds a token that is imported, in bytes.
const maxImportedToken = 64 << 10

func readImport(doc domain.Document) (subject string, in authorizations.Import, err error) {
	problems := unknownMembers("", doc, "subject", "refresh_token", "access_token", "expires_at", "scopes", "account", "replace_account")
	wrong := func(name, code, detail string) {
		problems = append(problems, domain.Problem{Pointer: pointer(name), Code: code, Detail: detail})
	}
	texts := map[string]*string{"subject": &subject, "account": &in.Account, "refresh_token": new(string), "access_token": new(string), "expires_at": new(string), "scopes": new(string)}
	for name, into := range texts {
		text, ok := doc[name].(string)
		switch {
		case doc[name] == nil:
		case !ok || len(text) > maxImportedToken:
			wrong(name, "type", "must be a string of at most 65536 bytes")
		case strings.HasSuffix(name, "_token") && !carriable(text):
			wrong(name, "header_invalid", "must be visible ASCII without white space at its edges, as authorization servers give it: another character, such as a line break, can't be sent")
		default:
			*into = text
		}
	}
	if doc["subject"] != nil {
		problems = append(problems, checkSubject("/subject", subject)...)
	}
	if v, ok := doc["replace_account"].(bool); ok {
		in.ReplaceAccount = v
	} else if doc["replace_account"] != nil {
		wrong("replace_account", "type", "must be true or false")
	}
	if text := *texts["expires_at"]; text != "" {
		if in.ExpiresAt, err = time.Parse(time.RFC3339, text); err != nil {
			wrong("expires_at", "format", "must be a time of RFC 3339")
		}
	}
	if text := *texts["scopes"]; text != "" {
		in.Scopes = domain.SplitScopes(text)
	}
	in.Refresh, in.Access = domain.NewSecret(*texts["refresh_token"]), domain.NewSecret(*texts["access_token"])
	if len(problems) == 0 && *texts["refresh_token"] == "" && *texts["access_token"] == "" {
		wrong("refresh_token", "required", "is required, or access_token")
	}
	return subject, in, domain.RefuseAll(problems)
}
