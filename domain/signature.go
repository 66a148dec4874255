package domain

import (
	"regexp"
	"slices"
	"strings"
)

// signatureAlgorithms are those of a template.
var templateAlgorithms = []string{"hmac-sha1", "hmac-sha256", "hmac-sha384", "hmac-sha512"}

// messageAlgorithms are those of RFC 9421, 3.3.
var messageAlgorithms = []string{"hmac-sha256", "rsa-pss-sha512", "rsa-v1_5-sha256", "ecdsa-p256-sha256", "ecdsa-p384-sha384", "ed25519"}

// SignaturePlaceholders are what a template may have in braces.
var SignaturePlaceholders = []string{
	"method", "host", "path", "query", "target", "url", "body", "body_sha256", "body_sha256_base64", "body_sha512", "body_md5_base64",
	"timestamp", "timestamp_ms", "timestamp_iso", "date", "nonce", "key_id", "content_type", "newline",
}

var inBraces = regexp.MustCompile(`\{([^{}]*)\}`)

// templateOf is the rule for a template with placeholders.
func templateOf(more ...string) rule {
	return func(s string) (string, string) {
		for _, match := range inBraces.FindAllStringSubmatch(s, -1) {
			if !slices.Contains(SignaturePlaceholders, match[1]) && !slices.Contains(more, match[1]) {
				return "template_invalid", "has the placeholder {" + match[1] + "}, which there is not; there are " + strings.Join(append(slices.Clone(more), SignaturePlaceholders...), ", ")
			}
		}
		return "", ""
	}
}

var componentSyntax = regexp.MustCompile(`^(@method|@target-uri|@authority|@scheme|@request-target|@path|@query|[a-z0-9!#$%&'*+.^_|~-]{1,128})$`)

func component(s string) (string, string) {
	if !componentSyntax.MatchString(s) {
		return "pattern", "must be the name of a header in lower case, or one of @method, @target-uri, @authority, @scheme, @request-target, @path, @query"
	}
	return "", ""
}

// keyAlgorithm returns the algorithm, as JWA names it, that tells which key signs.
func (a *Auth) keyAlgorithm() string {
	if a.Type == HMAC && a.Signature != nil {
		return map[string]string{
			"rsa-pss-sha512": "PS512", "rsa-v1_5-sha256": "RS256", "ecdsa-p256-sha256": "ES256", "ecdsa-p384-sha384": "ES384", "ed25519": "EdDSA",
		}[a.Signature.Algorithm]
	}
	return a.AssertionAlgorithm
}

// readSignature reads how a request is signed.
func (a *Auth) readSignature(in *object) {
	a.readEncoding(in)
	in.object("signature", func(o *object) {
		next := Signature{Algorithm: "hmac-sha256"}
		in := o
		among := messageAlgorithms
		in.nullableText("template", &next.Template, length(1, 2048), templateOf())
		if next.Template != "" {
			among = templateAlgorithms
		}
		choice(in, "algorithm", &next.Algorithm, among...)
		in.nullableText("key_id", &next.KeyID, length(1, 512), noControl, noQuote)
		if next.Template != "" {
			next.readTemplate(in)
		} else {
			in.texts("components", &next.Components, 30, component)
			in.nullableText("label", &next.Label, length(1, 64), endpointName)
			in.nullableText("tag", &next.Tag, length(1, 128), noControl, noQuote)
			if len(next.Components) == 0 {
				next.Components = []string{"@method", "@target-uri"}
			}
		}
		in.allowNull("components", "label", "tag", "encoding", "header", "format", "query", "headers", "params")
		in.done()
		a.Signature = &next
	})
	in.required("signature", a.Signature != nil)
}

func (s *Signature) readTemplate(in *object) {
	choice(in, "encoding", &s.Encoding, "hex", "base64")
	in.nullableText("header", &s.Header, credentialHeader)
	in.nullableText("format", &s.Format, length(1, 1024), noControl, templateOf("signature"))
	in.nullableText("query", &s.Query, paramName)
	s.Headers = in.templates("headers", credentialHeader)
	s.Params = in.templates("params", paramName)
	switch {
	case s.Header == "" && s.Query == "":
		in.problem("header", "required", "is required, or query: it is where the signature goes")
	case s.Header != "" && s.Query != "":
		in.problem("query", "not_allowed", "the signature goes in a header or in the query, not in both")
	case s.Format != "" && strings.Count(s.Format, "{signature}") != 1:
		in.problem("format", "pattern", "must have {signature} in it once")
	}
}

// templates reads an object of templates.
func (o *object) templates(name string, key rule) map[string]string {
	var all map[string]string
	o.object(name, func(in *object) {
		if len(in.members) > 20 {
			in.problem("", "too_many", "has %d members; at most 20 are allowed", len(in.members))
			return
		}
		all = map[string]string{}
		in.each(func(member string) {
			var value string
			in.check(member, member, key)
			in.text(member, &value, length(0, 1024), noControl, templateOf())
			all[member] = value
		})
	})
	return all
}
