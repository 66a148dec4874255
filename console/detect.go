package console

import (
	"encoding/json"
	"net/url"
	"regexp"
	"slices"
	"strings"
)

// pasted is what someone pasted to connect it, as far as the text alone shows it.
type pasted struct {
	Kind     string            // url, openapi, curl, postman, har or mcp
	URL      string            // of the API, "" if the text names none
	Document string            // what the API reads: a document or commands
	Auth     string            // the type of sign-in that it names
	Header   string            // of a key
	Found    map[string]string // secrets that were in it, by field
	Name     string            // that it has for itself
}

var anyURL = regexp.MustCompile(`https?://[^\s'"<>\\]+`)

// recognize returns what a text is. A text that is none of the kinds has the kind "".
func recognize(s string) pasted {
	s = strings.TrimSpace(s)
	p := pasted{Found: map[string]string{}}
	var doc map[string]any
	switch {
	case strings.HasPrefix(s, "curl "), strings.HasPrefix(s, "curl.exe "):
		p.Kind, p.Document = "curl", s
		if u, err := url.Parse(anyURL.FindString(s)); err == nil && u.Host != "" {
			p.URL = u.Scheme + "://" + u.Host
		}
		p.readHeaders(curlHeaders(s))
	case json.Unmarshal([]byte(s), &doc) == nil:
		p.readJSON(doc, s)
	case regexp.MustCompile(`(?m)^(openapi|swagger):`).MatchString(s):
		p.Kind, p.Document = "openapi", s
		if _, servers, ok := strings.Cut(s, "\nservers:"); ok {
			p.URL = strings.TrimSuffix(anyURL.FindString(servers), "/")
		}
		p.readYAML(s)
	case !strings.ContainsAny(s, " \n\t") && s != "":
		if !strings.Contains(s, "://") {
			s = "https://" + s
		}
		if u, err := url.Parse(s); err == nil && u.Host != "" && (u.Scheme == "http" || u.Scheme == "https") {
			p.Kind, p.URL = "url", strings.TrimSuffix(s, "/")
		}
	}
	return p
}

func (p *pasted) readJSON(doc map[string]any, s string) {
	switch {
	case doc["openapi"] != nil || doc["swagger"] != nil:
		p.Kind, p.Document = "openapi", s
		p.URL, p.Name = serverOf(doc), text(at2(doc, "info", "title"))
		p.readSchemes(doc)
	case strings.Contains(text(at2(doc, "info", "schema")), "getpostman"):
		p.Kind, p.Document = "postman", s
		p.URL, p.Name = originIn(s), text(at2(doc, "info", "name"))
	case at2(doc, "log", "entries") != nil:
		p.Kind, p.Document, p.URL = "har", s, originIn(s)
	case doc["mcpServers"] != nil || doc["servers"] != nil:
		servers, _ := doc["mcpServers"].(map[string]any)
		if servers == nil {
			servers, _ = doc["servers"].(map[string]any)
		}
		for name, one := range servers {
			server, _ := one.(map[string]any)
			if at, ok := server["url"].(string); ok {
				p.Kind, p.URL, p.Name = "mcp", at, name
				headers, _ := server["headers"].(map[string]any)
				named := map[string]string{}
				for name, value := range headers {
					named[name] = text(value)
				}
				p.readHeaders(named)
			}
		}
	}
}

func at2(doc map[string]any, first, second string) any {
	inner, _ := doc[first].(map[string]any)
	return inner[second]
}

func originIn(s string) string {
	for _, found := range anyURL.FindAllString(s, 200) {
		if u, err := url.Parse(found); err == nil && !strings.Contains(u.Host, "getpostman.com") && u.Host != "" {
			return u.Scheme + "://" + u.Host
		}
	}
	return ""
}

// serverOf returns the server that a document of OpenAPI or Swagger names.
func serverOf(doc map[string]any) string {
	if servers, ok := doc["servers"].([]any); ok && len(servers) > 0 {
		server, _ := servers[0].(map[string]any)
		if at := text(server["url"]); strings.HasPrefix(at, "http") {
			return strings.TrimSuffix(at, "/")
		}
	}
	if host := text(doc["host"]); host != "" {
		scheme := "https"
		if schemes, ok := doc["schemes"].([]any); ok && !slices.Contains(schemes, any("https")) && len(schemes) > 0 {
			scheme = text(schemes[0])
		}
		return scheme + "://" + host + strings.TrimSuffix(text(doc["basePath"]), "/")
	}
	return ""
}

// readYAML reads the same of a document in YAML, as far as its lines show it.
func (p *pasted) readYAML(s string) {
	if m := regexp.MustCompile(`(?m)^  title: *["']?([^"'\n]+)`).FindStringSubmatch(s); m != nil {
		p.Name = strings.TrimSpace(m[1])
	}
	_, schemes, ok := strings.Cut(s, "securitySchemes:")
	if !ok {
		return
	}
	schemes = schemes[:min(len(schemes), 4000)]
	name := regexp.MustCompile(`\n\s+name: *["']?([A-Za-z0-9-]+)`).FindStringSubmatch(schemes)
	switch {
	case regexp.MustCompile(`\n\s+scheme: *["']?bearer`).MatchString(schemes):
		p.Auth = "bearer_token"
	case regexp.MustCompile(`\n\s+type: *["']?apiKey`).MatchString(schemes) && regexp.MustCompile(`\n\s+in: *["']?header`).MatchString(schemes) && name != nil:
		p.Auth, p.Header = "api_key_header", name[1]
	case regexp.MustCompile(`\n\s+scheme: *["']?basic`).MatchString(schemes):
		p.Auth = "basic"
	}
}

// readSchemes reads how an OpenAPI document wants to be signed in to.
func (p *pasted) readSchemes(doc map[string]any) {
	schemes, _ := at2(doc, "components", "securitySchemes").(map[string]any)
	if schemes == nil {
		schemes, _ = doc["securityDefinitions"].(map[string]any)
	}
	for _, one := range schemes {
		s, _ := one.(map[string]any)
		switch kind, scheme := text(s["type"]), strings.ToLower(text(s["scheme"])); {
		case kind == "apiKey" && text(s["in"]) == "header":
			p.Auth, p.Header = "api_key_header", text(s["name"])
		case kind == "http" && scheme == "bearer":
			p.Auth = "bearer_token"
		case kind == "basic", kind == "http" && scheme == "basic":
			p.Auth = "basic"
		case kind == "oauth2" && p.Auth == "":
			p.Auth = "oauth2_client_credentials"
		}
	}
}

var curlHeader = regexp.MustCompile(`(?:-H|--header)[ =]+(?:'([^']*)'|"([^"]*)")`)

func curlHeaders(s string) map[string]string {
	all := map[string]string{}
	for _, m := range curlHeader.FindAllStringSubmatch(s, 50) {
		if name, value, ok := strings.Cut(m[1]+m[2], ":"); ok {
			all[strings.TrimSpace(name)] = strings.TrimSpace(value)
		}
	}
	return all
}

// readHeaders takes the credentials out of headers.
func (p *pasted) readHeaders(headers map[string]string) {
	for name, value := range headers {
		scheme, rest, _ := strings.Cut(value, " ")
		switch lower := strings.ToLower(name); {
		case lower == "authorization" && strings.EqualFold(scheme, "bearer") && rest != "":
			p.Auth, p.Found["bearer_token_value"] = "bearer_token", rest
		case strings.Contains(lower, "api-key") || strings.Contains(lower, "apikey") || strings.Contains(lower, "token"):
			p.Auth, p.Header, p.Found["api_key_value"] = "api_key_header", name, value
		}
	}
	for field, value := range p.Found {
		if strings.ContainsAny(value, "$<{") { // a place for a secret, not one
			delete(p.Found, field)
		}
	}
}

// suggested returns a name for an integration: of its own, or of its host.
func suggested(name, at string) string {
	if name == "" {
		if u, err := url.Parse(at); err == nil {
			parts := strings.Split(u.Hostname(), ".")
			parts = slices.DeleteFunc(parts, func(s string) bool {
				return slices.Contains([]string{"www", "api", "com", "org", "net", "io", "dev"}, s)
			})
			name = strings.Join(parts, "-")
		}
	}
	name = strings.Trim(regexp.MustCompile(`[^a-z0-9]+`).ReplaceAllString(strings.ToLower(name), "-"), "-")
	if len(name) > 40 {
		name = strings.Trim(name[:40], "-")
	}
	if len(name) < 2 {
		return "my-api"
	}
	return name
}
