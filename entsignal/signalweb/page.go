package signalweb

import (
	"bytes"
	"context"
	"errors"
	"html/template"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/entsignal/signalbus/entsignal"
)

// page is what each page shows.
type page struct {
	Title     string
	Nav       string // the part of the navigation that it belongs to
	Root      string // the relative URL of the root
	CanAct    bool
	CanSignIn bool
	Now       time.Time
	Since     time.Time // when the page began to watch
	Notice    string    // what an action has done
	Body      any
}

func (s *server) newPage(r *http.Request, title, nav string) page {
	access := accessOf(r)
	return page{Title: title, Nav: nav, Root: rootOf(r), CanAct: access >= Full, CanSignIn: s.token && access < Full, Now: time.Now(), Since: s.since}
}

// rootOf returns the URL of the root, relative to that of the request: what is in front
// of the path may have been stripped.
func rootOf(r *http.Request) string {
	return "./" + strings.Repeat("../", max(strings.Count(r.URL.EscapedPath(), "/")-1, 0))
}

// pageNames are the pages, each in a file of this name.
var pageNames = []string{"signals", "signal", "message", "relay", "confirm", "error"}

func parsePages() map[string]*template.Template {
	base := template.Must(template.New("").Funcs(template.FuncMap{
		"visible": visible, "visibleText": visibleText, "count": count, "thousands": thousands, "thousands64": func(n int64) string { return thousands(int(n)) },
		"seconds": seconds, "perSecond": perSecond, "clock": clock, "stamp": stamp, "plural": plural,
		"signalLink": signalLink, "messageLink": messageLink, "escapeID": url.PathEscape, "plot": newPlot,
		"cut": cut, "ago": func(now, t time.Time) string { return roughly(now.Sub(t)) }, "until": func(now, t time.Time) string { return roughly(t.Sub(now)) },
		"attention": needsAttention, "query": url.QueryEscape,
	}).ParseFS(files, "templates/base.html"))
	pages := make(map[string]*template.Template)
	for _, name := range pageNames {
		pages[name] = template.Must(template.Must(base.Clone()).ParseFS(files, "templates/"+name+".html"))
	}
	return pages
}

// render answers with a page.
func (s *server) render(w http.ResponseWriter, status int, name string, p page) {
	var b bytes.Buffer
	if err := s.pages[name].ExecuteTemplate(&b, "base", p); err != nil {
		s.log.Error("page: can't be shown", "page", name, "error", err.Error())
		http.Error(w, "this page can't be shown; the log says why", http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.WriteHeader(status)
	_, _ = w.Write(b.Bytes())
}

// signalLink returns the URL of the page of a type.
func signalLink(root, name string) string { return root + "signals/" + url.PathEscape(name) }

// messageLink returns the URL of the page of a message. Browsers resolve names made of
// dots, also escaped ones.
func messageLink(root, name, id string) string {
	if id == "" || id == "." || id == ".." {
		return signalLink(root, name) + "/?id=" + url.QueryEscape(id)
	}
	return signalLink(root, name) + "/" + url.PathEscape(id)
}

// redirect sends a browser to another page, by a relative URL.
func redirect(w http.ResponseWriter, to string) error {
	w.Header().Set("Location", to)
	w.WriteHeader(http.StatusSeeOther)
	return nil
}

// signalsBody is the first page.
type signalsBody struct {
	Signals                []signalState
	Attention              []signalState
	Pending, Waiting, Dead int
	More                   bool // one of the sums is of counts that stand for more
	Running                bool
}

func (s *server) showSignals(w http.ResponseWriter, r *http.Request) error {
	p := s.newPage(r, "Signals", "signals")
	body := signalsBody{Signals: s.signals(r.Context()), Running: len(s.bus.RunState().Loops) > 0}
	for _, st := range body.Signals {
		if needsAttention(st.State) {
			body.Attention = append(body.Attention, st)
		}
		body.Pending += st.Count
		body.Waiting += st.Waiting
		body.Dead += st.Dead
		body.More = body.More || st.Count >= countLimit
	}
	p.Body = body
	s.render(w, http.StatusOK, "signals", p)
	return nil
}

// signalBody is the page of one type.
type signalBody struct {
	signalDetail
	Failed      []entsignal.FailedSignal
	FailedError string
	After       string // the id behind which the list begins
	Next        string // the last id of this page, if there is another one
	ErrorID     string // of the error that the list is restricted to
	MoreGroups  int    // that are not shown
}

func (s *server) showSignal(w http.ResponseWriter, r *http.Request) error {
	name, query := r.PathValue("name"), r.URL.Query()
	d, err := s.signalDetail(r.Context(), name)
	if err != nil {
		return err
	}
	p := s.newPage(r, name, "signals")
	p.Notice = noticeOf(query)
	body := signalBody{signalDetail: d, After: query.Get("after"), ErrorID: query.Get("error_id")}
	if body.After == "" && body.ErrorID == "" {
		body.Failed = d.failed
	} else {
		ctx, cancel := context.WithTimeout(r.Context(), askTime)
		defer cancel()
		var after *string
		if body.After != "" {
			after = &body.After
		}
		body.Failed, err = s.failed(r.WithContext(ctx), name, after, body.ErrorID, defaultPage+1)
	}
	var own *httpError
	switch {
	case errors.As(err, &own), errors.As(err, new(*entsignal.InvalidIDError)):
		return err
	case err != nil && !errors.Is(err, entsignal.ErrNoRetry):
		body.FailedError = errorText(err)
	}
	if len(body.Failed) > defaultPage {
		body.Failed = body.Failed[:defaultPage]
		body.Next = body.Failed[defaultPage-1].ID
	}
	if more := len(body.FailedByError) - maxGroups; more > 0 {
		body.FailedByError, body.MoreGroups = body.FailedByError[:maxGroups], more
	}
	p.Body = body
	s.render(w, http.StatusOK, "signal", p)
	return nil
}

// noticeOf returns what an action has done, as its redirect says it.
func noticeOf(query url.Values) string {
	n, err := strconv.Atoi(query.Get("n"))
	if err != nil || n < 0 {
		return ""
	}
	switch query.Get("did") {
	case "retry":
		return thousands(n) + plural(n, " message", " messages") + " will be tried again."
	case "discard":
		return thousands(n) + plural(n, " message was", " messages were") + " discarded."
	case "flush":
		return thousands(n) + plural(n, " message was", " messages were") + " sent."
	case "flush-failed":
		return thousands(n) + plural(n, " message was", " messages were") + " sent; then the flush failed. The error is below, or in the log."
	case "flush-more":
		return thousands(n) + plural(n, " message was", " messages were") + " sent; there are more, so flush again or leave them to the relay."
	default:
		return ""
	}
}

// messageBody is the page of one message.
type messageBody struct {
	message
	Signal      string
	FieldsShown bool
}

func (s *server) showMessage(w http.ResponseWriter, r *http.Request) error {
	name, id := r.PathValue("name"), r.PathValue("id")
	if id == "" {
		id = r.URL.Query().Get("id")
	}
	ctx, cancel := context.WithTimeout(r.Context(), askTime)
	defer cancel()
	m, err := s.message(r.WithContext(ctx), name, id)
	if err != nil {
		return err
	}
	p := s.newPage(r, "Message "+visible(id), "signals")
	p.Body = messageBody{message: m, Signal: name, FieldsShown: s.showFields}
	s.render(w, http.StatusOK, "message", p)
	return nil
}

func (s *server) showRelay(w http.ResponseWriter, r *http.Request) error {
	p := s.newPage(r, "Relay", "relay")
	p.Body = s.relay()
	s.render(w, http.StatusOK, "relay", p)
	return nil
}

// signIn asks a browser for the token, which it then brings along.
func (s *server) signIn(w http.ResponseWriter, r *http.Request) error {
	switch {
	case accessOf(r) >= Full:
		return redirect(w, rootOf(r))
	case s.token:
		s.challenge(w)
		return &httpError{http.StatusUnauthorized, "To act, sign in with any user name, and with the admin token as the password."}
	default:
		return &httpError{http.StatusNotFound, "there is nothing to sign in with here"}
	}
}
