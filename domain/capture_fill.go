package domain

import (
	"maps"
	"net/url"
	"strings"
)

// Captures reports whether values of the account are kept with the authorizations of an
// integration.
func (i Integration) Captures() bool {
	return i.Consents() && len(i.Auth.Capture) > 0
}

// errNoValue is the error of a placeholder whose value no authorization has.
func errNoValue(name string) error {
	return Errorf(Conflict, "account_value_missing", "the account has no value %s: name it in capture, and sign in again", name)
}

// FillURL fills a URL template with captured values: each in a path is escaped, and the
// host is checked again.
func (a *Auth) FillURL(template string, values map[string]string) (string, error) {
	name, scheme, rest := hostCapture(template)
	if name == "" {
		return fillAccount(template, values)
	}
	host, ok := a.Capture[name].takes(values[name])
	switch {
	case values[name] == "":
		return "", errNoValue(name)
	case !ok:
		return "", Errorf(Conflict, "account_host_refused", "the value %s of the account is not one of the hosts that it may be", name)
	}
	_, bare, isOrigin := strings.Cut(host, "://")
	switch {
	case scheme != "" && isOrigin:
		host = scheme + "://" + bare
	case scheme != "":
		host = scheme + "://" + host
	case !isOrigin:
		host = "https://" + host
	}
	rest, err := fillAccount(rest, values)
	if err == nil && !SecureURL(host) {
		err = Errorf(Conflict, "account_host_refused", "the value %s of the account is not a host of https", name)
	}
	return host + rest, err
}

// fillAccount fills the placeholders in a path and a query.
func fillAccount(template string, values map[string]string) (string, error) {
	if !UsesAccount(template) {
		return template, nil
	}
	path, query, hasQuery := strings.Cut(template, "?")
	path, err := fillEach(path, values, url.PathEscape)
	if err == nil && HasDotSegment(path) {
		err = Errorf(Conflict, "account_value_refused", "a value of the account makes . or .. of a part of a path")
	}
	if err == nil && hasQuery {
		query, err = fillEach(query, values, url.QueryEscape)
		path += "?" + query
	}
	return path, err
}

func fillEach(template string, values map[string]string, escape func(string) string) (string, error) {
	var missing error
	filled := accountSyntax.ReplaceAllStringFunc(template, func(placeholder string) string {
		name := accountSyntax.FindStringSubmatch(placeholder)[1]
		if values[name] == "" {
			missing = errNoValue(name)
		}
		return escape(values[name])
	})
	return filled, missing
}

func asItIs(s string) string { return s }

// ForAccount returns an integration, and one of its endpoints, with the captured values in
// the places of their placeholders. What a caller gives never takes their place.
func (i Integration) ForAccount(e Endpoint, values map[string]string) (Integration, Endpoint, error) {
	var failed error
	fill := func(into *string, with func(string, map[string]string) (string, error)) {
		text, err := with(*into, values)
		if *into = text; err != nil && failed == nil {
			failed = err
		}
	}
	header := func(s string, values map[string]string) (string, error) { return fillEach(s, values, asItIs) }
	fill(&i.BaseURL, i.Auth.FillURL)
	fill(&e.BaseURL, i.Auth.FillURL)
	fill(&e.Path, fillAccount)
	if i.HealthCheck != nil && UsesAccount(i.HealthCheck.Path) {
		check := *i.HealthCheck
		fill(&check.Path, fillAccount)
		i.HealthCheck = &check
	}
	i.Headers, e.Headers = maps.Clone(i.Headers), maps.Clone(e.Headers)
	for name, value := range i.Headers {
		if value != nil {
			text := *value
			fill(&text, header)
			i.Headers[name] = &text
		}
	}
	for name, value := range e.Headers {
		fill(&value, header)
		e.Headers[name] = value
	}
	return i, e, failed
}

// WithoutAccount returns an integration as it can be probed while nobody has signed in: its
// base URL ends before the first captured value, and headers with one are left out.
func (i Integration) WithoutAccount() Integration {
	if at := accountSyntax.FindStringIndex(i.BaseURL); at != nil {
		i.BaseURL = strings.TrimRight(i.BaseURL[:at[0]], "/")
	}
	if i.HealthCheck != nil && UsesAccount(i.HealthCheck.Path) {
		i.HealthCheck = nil
	}
	i.Headers = maps.Clone(i.Headers)
	maps.DeleteFunc(i.Headers, func(_ string, value *string) bool { return value != nil && UsesAccount(*value) })
	return i
}

// UsesAccount reports whether calls of an endpoint have captured values in them.
func (i Integration) UsesAccount(e Endpoint) bool {
	texts := []string{i.BaseURL, e.BaseURL, e.Path}
	if i.HealthCheck != nil {
		texts = append(texts, i.HealthCheck.Path)
	}
	for _, value := range i.Headers {
		if value != nil {
			texts = append(texts, *value)
		}
	}
	for _, value := range e.Headers {
		texts = append(texts, value)
	}
	for _, text := range texts {
		if UsesAccount(text) {
			return true
		}
	}
	return false
}
