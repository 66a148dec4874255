package imports

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"path"
	"strings"
)

// Curl reads cURL commands, as people copy them from a browser (for bash and for
// cmd.exe) or from the documentation of an API. Of is the integration that they
// are for.
// An error is the rest of a sentence about the text.
func Curl(ctx context.Context, text string, of For) (Found, error) {
	commands, err := words(text)
	if err != nil {
		return Found{}, err
	}
	r := newReader(ctx, of)
	for _, command := range commands {
		for n, word := range command {
			program := strings.TrimSuffix(strings.ToLower(path.Base(strings.ReplaceAll(word, `\`, "/"))), ".exe")
			if program != "curl" {
				continue
			}
			for _, q := range readCurl(command[n+1:]) {
				if !r.add(q) {
					return r.done(), nil
				}
			}
			break
		}
	}
	if r.found.Total == 0 {
		return Found{}, errors.New("it has no command that begins with curl and has a URL")
	}
	return r.done(), nil
}

// shortOptions are the options of one letter by their long names. Those with a ! take no
// argument.
var shortOptions = map[byte]string{
	'X': "request", 'H': "header", 'd': "data", 'u': "user", 'b': "cookie", 'A': "user-agent", 'e': "referer", 'F': "form", 'T': "upload-file",
	'G': "!get", 'I': "!head", 'o': "output", 'x': "proxy", 'U': "proxy-user", 'm': "max-time", 'c': "cookie-jar", 'E': "cert", 'r': "range",
	'K': "config", 'w': "write-out", 'D': "dump-header", 'y': "speed-time", 'Y': "speed-limit", 'z': "time-cond", 'C': "continue-at", 'P': "ftp-port", 'Q': "quote", 't': "telnet-option",
}

// longOptions are the long options that take an argument and are not read here.
const longOptions = " output proxy proxy-user proxy-header max-time connect-timeout cookie-jar range config write-out dump-header speed-time speed-limit " +
	"time-cond continue-at retry retry-delay retry-max-time retry-all cacert capath cert cert-type key key-type pass ciphers tls13-ciphers tls-max pinnedpubkey resolve connect-to interface " +
	"limit-rate max-filesize max-redirs socks5 socks5-hostname socks4 socks4a noproxy dns-servers doh-url unix-socket aws-sigv4 delegation service-name local-port " +
	"keepalive-time output-dir create-file-mode request-target expect100-timeout happy-eyeballs-timeout-ms netrc-file trace trace-ascii stderr rate variable curves engine egd-file random-file login-options sasl-authzid "

// curlCommand is what the options of a command ask for.
type curlCommand struct {
	urls, data   []string
	method       string
	get          bool
	q            request
	form         []member
	json, upload bool
	file         bool // a part of the data is a file
}

// readCurl reads the arguments of one command, which may have several URLs.
func readCurl(args []string) []request {
	var c curlCommand
	var done []request
	for n := 0; n < len(args); n++ {
		arg := args[n]
		next := func() string {
			if n++; n < len(args) {
				return args[n]
			}
			return ""
		}
		name, isLong := strings.CutPrefix(arg, "--")
		switch {
		case arg == "--next", arg == "-:":
			done = append(done, c.requests()...)
			c = curlCommand{}
		case arg == "--":
		case isLong:
			name, value, given := strings.Cut(name, "=")
			c.option(name, func() string {
				if given {
					return value
				}
				return next()
			})
		case len(arg) > 1 && arg[0] == '-':
			for at := 1; at < len(arg); at++ {
				long, known := shortOptions[arg[at]]
				if !known {
					continue // it takes no argument
				}
				if flag, is := strings.CutPrefix(long, "!"); is {
					c.option(flag, next)
					continue
				}
				rest := arg[at+1:]
				c.option(long, func() string {
					if rest != "" {
						return rest
					}
					return next()
				})
				break
			}
		default:
			c.urls = append(c.urls, arg)
		}
	}
	return append(done, c.requests()...)
}

// option reads one option by its long name. Its argument is read once, if it takes one.
func (c *curlCommand) option(name string, argument func() string) {
	switch name {
	case "url":
		c.urls = append(c.urls, argument())
	case "request":
		c.method = argument()
	case "header":
		header, value, _ := strings.Cut(argument(), ":")
		c.q.header = append(c.q.header, member{name: strings.TrimSpace(header), value: strings.TrimSpace(value)})
	case "data", "data-ascii", "data-binary", "data-raw":
		value := argument()
		if strings.HasPrefix(value, "@") && name != "data-raw" {
			c.file = true
			break
		}
		c.data = append(c.data, value)
	case "data-urlencode", "url-query":
		value := encoded(argument())
		if name == "url-query" {
			c.q.query = append(c.q.query, pairs(value)...)
		} else {
			c.data = append(c.data, value)
		}
	case "json":
		value := argument()
		c.json = true
		if strings.HasPrefix(value, "@") {
			c.file = true
			break
		}
		c.data = append(c.data, value)
	case "form", "form-string":
		field, value, _ := strings.Cut(argument(), "=")
		m := member{name: field, value: value}
		if name == "form" {
			m.file = strings.HasPrefix(value, "@") || strings.HasPrefix(value, "<")
			m.value, _, _ = strings.Cut(value, ";type=")
		}
		c.form = append(c.form, m)
	case "user":
		argument()
		c.q.leftOut = appendNew(c.q.leftOut, "the user name and password (-u): configure auth of type basic")
	case "oauth2-bearer":
		argument()
		c.q.leftOut = appendNew(c.q.leftOut, "the bearer token (--oauth2-bearer): configure auth of type bearer_token")
	case "cookie":
		argument()
		c.q.leftOut = appendNew(c.q.leftOut, "the cookies (-b)")
	case "user-agent", "referer":
		argument()
	case "upload-file":
		argument()
		c.upload = true
	case "get":
		c.get = true
	case "head":
		c.method = http.MethodHead
	case "cert", "key", "aws-sigv4", "netrc-file", "proxy-user":
		argument()
		c.q.leftOut = appendNew(c.q.leftOut, "the credential of --"+name)
	default:
		if strings.Contains(longOptions, " "+name+" ") {
			argument()
		}
	}
}

// requests returns one request for each URL.
func (c *curlCommand) requests() []request {
	q := c.q
	q.method = c.method
	switch {
	case c.get:
		for _, part := range c.data {
			q.query = append(q.query, pairs(part)...)
		}
	case len(c.form) > 0:
		q.body = body{kind: multipartBody, members: c.form}
	case c.upload || c.file && len(c.data) == 0:
		q.body = body{kind: fileBody}
	case len(c.data) > 0:
		q.body = dataBody(strings.Join(c.data, "&"), headerOf(q.header, "Content-Type"), c.json)
		if c.file {
			q.notes = append(q.notes, "a part of the body is a file that is not known")
		}
	}
	if q.method == "" {
		switch {
		case c.upload:
			q.method = http.MethodPut
		case q.body.kind != noBody:
			q.method = http.MethodPost
		default:
			q.method = http.MethodGet
		}
	}
	var all []request
	for _, one := range c.urls {
		q.url = one
		all = append(all, q)
	}
	return all
}

// dataBody returns the body of a request from its text and Content-Type: JSON where it
// is JSON, whatever the type, since curl adds the type of a form to everything.
func dataBody(text, contentType string, isJSON bool) body {
	media := mediaOf(contentType)
	switch {
	case isJSON && media == "":
		media = jsonMedia
	case media == "" && json.Valid([]byte(text)) && strings.ContainsAny(text[:min(1, len(strings.TrimSpace(text)))], "{["):
		media = jsonMedia
	case media == "" && strings.HasPrefix(strings.TrimSpace(text), "{"): // perhaps with a variable in it
		media = jsonMedia
	case media == "" || media == formMedia:
		return body{kind: formBody, members: pairs(text)}
	}
	return body{kind: textBody, text: text, mediaType: media}
}

// encoded returns the argument of --data-urlencode as a member of a form: content,
// =content or name=content; name@file has no content.
func encoded(argument string) string {
	name, value, named := strings.Cut(argument, "=")
	if !named {
		if name, _, isFile := strings.Cut(argument, "@"); isFile {
			return url.QueryEscape(name) + "="
		}
		return url.QueryEscape(argument)
	}
	if name == "" {
		return url.QueryEscape(value)
	}
	return name + "=" + url.QueryEscape(value)
}
