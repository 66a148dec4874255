package demo

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"strings"

	"golang.org/x/net/html"
)

// maxPages bounds how many pages a person clicks through.
const maxPages = 6

// form is the first form of a page.
type form struct {
	action string
	fields url.Values
}

// ClickThrough opens a link as a person's browser does, with cookies, and submits the form of
// each page with what it has, the first button pressed. It returns the title of the page
// that has no form.
func ClickThrough(ctx context.Context, link string) (string, error) {
	jar, err := cookiejar.New(nil)
	if err != nil {
		return "", err
	}
	browser := &http.Client{Jar: jar}
	method, body := http.MethodGet, ""
	for range maxPages {
		req, err := http.NewRequestWithContext(ctx, method, link, strings.NewReader(body))
		if err != nil {
			return "", err
		}
		if method == http.MethodPost {
			req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		}
		res, err := browser.Do(req)
		if err != nil {
			return "", err
		}
		title, f, err := readPage(io.LimitReader(res.Body, 1<<20))
		err = errors.Join(err, res.Body.Close())
		switch {
		case err != nil:
			return "", err
		case res.StatusCode != http.StatusOK:
			return "", fmt.Errorf("the page at %s answered %s: %s", res.Request.URL.Path, res.Status, title)
		case f == nil:
			return title, nil
		}
		to, err := res.Request.URL.Parse(f.action)
		if err != nil {
			return "", err
		}
		method, link, body = http.MethodPost, to.String(), f.fields.Encode()
	}
	return "", errors.New("the pages don't end")
}

// readPage returns the heading of a page, and its first form, nil for none.
func readPage(page io.Reader) (heading string, f *form, err error) {
	pressed := false
	for z := html.NewTokenizer(page); ; {
		switch z.Next() {
		case html.ErrorToken:
			if errors.Is(z.Err(), io.EOF) {
				return heading, f, nil
			}
			return heading, f, z.Err()
		case html.StartTagToken, html.SelfClosingTagToken:
			token := z.Token()
			attributes := map[string]string{}
			for _, a := range token.Attr {
				attributes[a.Key] = a.Val
			}
			switch name := attributes["name"]; {
			case token.Data == "h1" && z.Next() == html.TextToken:
				heading = z.Token().Data
			case token.Data == "form" && f == nil:
				f = &form{attributes["action"], url.Values{}}
			case f != nil && name != "" && (token.Data == "input" || token.Data == "button" && !pressed):
				f.fields.Set(name, attributes["value"])
				pressed = pressed || token.Data == "button"
			}
		default:
		}
	}
}
