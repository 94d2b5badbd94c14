package signalweb

import (
	"encoding/json"
	"net/http/httptest"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/stretchr/testify/require"

	"github.com/entsignal/signalbus/entsignal"
	"github.com/entsignal/signalbus/internal/view"
)

// every returns each page with names, ids, errors and fields in all places where one
// may be.
func every(name, id, text, field string) map[string]page {
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	seconds := 7.0
	failed := entsignal.FailedSignal{Name: name, ID: id, Attempts: 3, Error: text, RetryAt: &now}
	dead := entsignal.FailedSignal{Name: name, ID: id, Attempts: 1, Error: text, FailedAt: &now, Dead: true}
	state := signalState{
		Info:    entsignal.Info{Name: name, Table: name, OrderBy: []entsignal.OrderTerm{entsignal.OrderTerm(field)}, OrderKey: field},
		Pending: view.Pending{PendingCount: entsignal.PendingCount{Name: name, Count: 3, Waiting: 1, Dead: 1}, OldestID: id, AgeSeconds: &seconds},
		State:   stateBlocked, Why: text, CountedAt: &now, CountError: text,
		Rates:   rates{SentByMinute: []int{1, 0, 3}, FailedByMinute: []int{0, 2, 1}, LastSentAt: &now},
		Paused:  &since{now, text},
		Failing: &since{now, text},
		Blocked: &blocked{ID: id, Dead: true},
	}
	held := state
	held.Blocked = &blocked{Waiting: 2, Transactions: []transaction{{PID: 1, User: text, Application: text, State: text}, {GID: text}}}
	detailed := func(st signalState) signalDetail {
		return signalDetail{signalState: st, DetailError: text, detail: detail{
			Order: &entsignal.OrderCheck{Name: name, OrderBy: st.OrderBy, Reason: text}, First: &dead,
			FailedByError: []errorGroup{{FailedGroup: view.FailedGroup{Name: name, Error: text, Count: 2, FirstID: id}, ErrorID: errorID(text)}},
		}}
	}
	value, err := json.Marshal(field)
	if err != nil {
		panic(err)
	}
	base := page{Title: name, Root: "./../", CanAct: true, Now: now, Since: now, Notice: "done"}
	with := func(body any) page {
		p := base
		p.Body = body
		return p
	}
	return map[string]page{
		"signals":       with(signalsBody{Signals: []signalState{state, held}, Attention: []signalState{state}, Pending: 6}),
		"signal":        with(signalBody{signalDetail: detailed(state), Failed: []entsignal.FailedSignal{failed, dead}, After: id, Next: id}),
		"signal held":   with(signalBody{signalDetail: detailed(held), FailedError: text}),
		"signal of one": with(signalBody{signalDetail: detailed(held), Failed: []entsignal.FailedSignal{dead}, ErrorID: errorID(text), Next: id}),
		"message":       with(messageBody{message: message{FailedSignal: dead, Fields: map[string]json.RawMessage{field: value}}, Signal: name, FieldsShown: true}),
		"message bad":   with(messageBody{message: message{FailedSignal: failed, FieldsError: text}, Signal: name, FieldsShown: true}),
		"relay": with(relayState{Running: true, Loops: []loopState{{LoopState: entsignal.LoopState{Signal: name, Moved: now, FailingSince: now}, Mode: "flush", Error: text}},
			WakeUp: wakeUpState{WakeUpState: entsignal.WakeUpState{Configured: true}, Error: text}, Versions: []versionOf{{name, text}}}),
		"confirm":     with(confirmBody{Signal: name, Sel: selection{IDs: []string{id}}, Count: 1, Which: "selected", Error: text, Shown: []entsignal.FailedSignal{dead}}),
		"confirm all": with(confirmBody{Signal: name, Sel: selection{All: true}, Count: 2, Which: "all", NotSaid: true}),
		"error":       with(text),
	}
}

var (
	tags   = regexp.MustCompile(`<[^>]*>`)
	quoted = regexp.MustCompile(`"[^"]*"`)
	links  = regexp.MustCompile(`(?:href|src|action|formaction)="([^"]*)"`)
)

// invisible reports whether somebody who reads a page can't see a character, or sees
// others in another order because of it.
func invisible(r rune) bool {
	return r != '\n' && r != '\t' && (unicode.IsControl(r) || unicode.Is(unicode.Cf, r) || unicode.Is(unicode.Bidi_Control, r))
}

// shape returns the tags of a page, without the values of their attributes.
func shape(html string) []string {
	all := tags.FindAllString(html, -1)
	for i, tag := range all {
		all[i] = quoted.ReplaceAllString(tag, `""`)
	}
	return all
}

// No name, id, error or field becomes anything but text: the tags of a page are the
// same whatever they are, its links stay within it, and nothing invisible is in it.
func FuzzTemplates(f *testing.F) {
	f.Add("OrderPlaced", "17", "312 NO_ROUTE", "customer")
	f.Add(`"><script>alert(1)</script>`, `' onmouseover='x`, "</pre><img src=x onerror=alert(1)>", "`{{.}}")
	f.Add("javascript:alert(1)", "//evil.example/x", "a\u202eb\u2066c\u200b\x00\x1b[31m\r\n", "\ufeff\u2028")
	f.Add("..", ".", "&lt;b&gt;&#34;", "\xff\xfe")
	f.Add("", "", "", "")
	pages := parsePages()
	s := &server{pages: pages, settings: settings{}}
	render := func(t *testing.T, name string, p page) string {
		w := httptest.NewRecorder()
		template, _, _ := strings.Cut(name, " ")
		s.render(w, 200, template, p)
		require.Equal(t, 200, w.Code, name)
		return w.Body.String()
	}
	want := make(map[string][]string)
	f.Fuzz(func(t *testing.T, name, id, text, field string) {
		name = "T" + name // names of types are those of Go
		for page, p := range every("x", "x", "x", "x") {
			if want[page] == nil {
				want[page] = shape(render(t, page, p))
			}
		}
		for page, p := range every(name, id, text, field) {
			out := render(t, page, p)
			require.True(t, utf8.ValidString(out), "%s: not UTF-8", page)
			if i := strings.IndexFunc(out, invisible); i >= 0 {
				require.Failf(t, "something is invisible", "%s: %q", page, out[i:min(i+10, len(out))])
			}
			if text != "" && id != "" && field != "" { // what is empty is told in other words
				require.Equal(t, want[page], shape(out), "%s", page)
			}
			for _, link := range links.FindAllStringSubmatch(out, -1) {
				if link[1] == "#main" {
					continue
				}
				require.True(t, strings.HasPrefix(link[1], "./../"), "%s: %s", page, link[1])
				parsed, err := url.Parse(strings.ReplaceAll(link[1], "&amp;", "&"))
				require.NoError(t, err)
				for _, part := range strings.Split(strings.TrimPrefix(parsed.EscapedPath(), "./../"), "/") {
					require.NotContains(t, []string{".", ".."}, strings.ReplaceAll(strings.ToLower(part), "%2e", "."), "%s: %s", page, link[1])
				}
			}
		}
	})
}
