package web

import (
	"fmt"
	"html"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/entsignal/signalbus/entsignal/signalweb"
	"github.com/entsignal/signalbus/integration/internal/testdb"
)

// full lets everybody act.
var full = signalweb.Authorize(func(*http.Request) signalweb.Access { return signalweb.Full })

// jobs returns how many jobs are dead, and how many there are.
func (w *works) jobs(t testing.TB) (dead, all int) {
	t.Helper()
	failed, err := w.bus.Failed(ctx(t))
	require.NoError(t, err)
	return len(failed), w.JobQueued.Query().CountX(ctx(t))
}

// Whatever the page can do is done in a browser, with scripts and without.
func TestActionsInABrowser(t *testing.T) {
	t.Parallel()
	for name, scripts := range map[string]bool{"with scripts": true, "without scripts": false} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := open(t, testdb.SQLite)
			w.dead(t, 9)
			s := serve(t, w, signalweb.Token(token))
			b := newTab(t, s)
			if !scripts {
				b.withoutScripts()
			}
			b.open("/signals/JobQueued")
			assert.Zero(t, eval[int](b, `document.querySelectorAll("button").length`), "nobody may act yet")
			b.signsIn(token)
			b.click(".access a")
			b.run(chromedp.WaitVisible("#signals", chromedp.ByQuery))
			assert.Equal(t, "May act", b.text(".access"))
			b.click(`#signals a[href$="JobQueued"]`)

			// All of one error.
			b.click(`.acts form[action$="/retry"] button`)
			b.says(".notice", "3 messages will be tried again.")
			dead, all := w.jobs(t)
			assert.Equal(t, [2]int{6, 9}, [2]int{dead, all})

			// Those that are selected.
			b.click(`tbody tr:nth-child(1) td.pick input`)
			b.click(`tbody tr:nth-child(3) td.pick input`)
			b.click(`.bar button[value=selected]`)
			b.says(".notice", "2 messages will be tried again.")
			dead, all = w.jobs(t)
			assert.Equal(t, [2]int{4, 9}, [2]int{dead, all})

			// One, on its own page.
			b.click(`[data-list] tbody th a`)
			b.says("main h1", "Message")
			b.says("pre.text", "is gone")
			b.click(`main > section .bar form[action$="/retry"] button`)
			b.says(".notice", "1 message will be tried again.")
			dead, _ = w.jobs(t)
			assert.Equal(t, 3, dead)

			b.click(`.head form button`)
			b.says(".notice", "6 messages were sent.")
			assert.Len(t, w.took("JobQueued"), 6)

			// Discarding asks first, in a dialog or on a page.
			form := `form[data-asking]`
			if scripts {
				form = `dialog ` + form
			}
			b.click(`tbody tr:nth-child(1) td.pick input`)
			b.click(`.bar button[value=selected].risky`)
			b.says(form, "Discard 1 message?")
			b.click(form + ` [data-cancel]`)
			b.says("#failed-title", "Failed messages")
			dead, _ = w.jobs(t)
			assert.Equal(t, 3, dead, "cancelled")
			if !scripts { // the list is a new one
				b.click(`tbody tr:nth-child(1) td.pick input`)
			}
			b.click(`.bar button[value=selected].risky`)
			b.click(form + ` button.risky`)
			b.says(".notice", "1 message was discarded.")
			dead, all = w.jobs(t)
			assert.Equal(t, [2]int{2, 2}, [2]int{dead, all})

			// All needs the name.
			b.click(`.bar button[value=all].risky`)
			b.says(form, "Type JobQueued to confirm")
			b.run(chromedp.SendKeys(form+` input[name=name]`, "jobqueued", chromedp.ByQuery))
			b.click(form + ` button.risky`)
			b.says("[role=alert]", "That is not the name. Nothing was discarded.")
			dead, _ = w.jobs(t)
			assert.Equal(t, 2, dead)
			b.run(chromedp.SendKeys(`form[data-asking] input[name=name]`, "JobQueued", chromedp.ByQuery))
			b.click(`form[data-asking] button.risky`)
			b.says(".notice", "2 messages were discarded.")
			dead, all = w.jobs(t)
			assert.Equal(t, [2]int{0, 0}, [2]int{dead, all})
			log := w.log.String()
			assert.NotContains(t, log, token)
		})
	}
}

func TestBrowserWithoutTheTokenCannotAct(t *testing.T) {
	t.Parallel()
	w := open(t, testdb.SQLite)
	w.dead(t, 2)
	for name, s := range map[string]*page{"no token": serve(t, w), "not signed in": serve(t, w, signalweb.Token(token))} {
		b := newTab(t, s)
		b.open("/signals/JobQueued")
		assert.Zero(t, eval[int](b, `document.querySelectorAll("button, input").length`), name)
		assert.Contains(t, b.text(".access"), "Read-only")
		for _, path := range []string{"/signals/JobQueued/discard", "/api/v1/signals/JobQueued/discard"} {
			status := eval[int](b, fmt.Sprintf(`fetch(%q, {method: "POST", credentials: "omit", body: new URLSearchParams({which: "all", confirmed: "yes", name: "JobQueued"})}).then(r => r.status)`, path))
			assert.Contains(t, []int{401, 403}, status, name)
		}
	}
	dead, _ := w.jobs(t)
	assert.Equal(t, 2, dead)
}

func TestBrowserCannotBeLedToActByAnotherSite(t *testing.T) {
	t.Parallel()
	w := open(t, testdb.SQLite)
	w.dead(t, 2)
	s := serve(t, w, full)
	target := s.URL + "/signals/JobQueued/discard"
	evil := httptest.NewServer(http.HandlerFunc(func(out http.ResponseWriter, r *http.Request) {
		out.Header().Set("Content-Type", "text/html")
		fmt.Fprintf(out, `<footer></footer><iframe src="%s"></iframe><form method="post" action="%s"><input name="which" value="all"><input name="confirmed" value="yes"><input name="name" value="JobQueued"><button>win</button></form>`,
			html.EscapeString(s.URL+"/"), html.EscapeString(target))
	}))
	t.Cleanup(evil.Close)
	for _, site := range []string{evil.URL, strings.Replace(evil.URL, "127.0.0.1", "localhost", 1)} { // another origin, another site
		b := newTab(t, &page{&httptest.Server{URL: site}})
		b.run(chromedp.Navigate(site), chromedp.Click("button", chromedp.ByQuery), chromedp.WaitVisible("main h1", chromedp.ByQuery))
		assert.Contains(t, b.text("main"), "this request came from another site")
		b.mu.Lock()
		assert.NotEmpty(t, b.faults, "the page is not shown in a frame")
		b.faults = nil
		b.mu.Unlock()
	}
	dead, _ := w.jobs(t)
	assert.Equal(t, 2, dead)
}

func TestPageFollowsWhatHappens(t *testing.T) {
	t.Parallel()
	w := open(t, testdb.SQLite)
	s := serve(t, w, full)
	b := newTab(t, s)
	b.open("/")
	assert.Contains(t, b.text("#summary"), "All is quiet")
	w.dead(t, 2)
	b.says("#summary", "1 of 6 types needs attention:")
	b.says("#summary", "JobQueued (failing).")
	_, err := w.bus.FlushMany(ctx(t))
	require.NoError(t, err)
	b.says("#summary", "JobQueued (dead).")
	s.CloseClientConnections()
	s.Close()
	b.says("#lost", "No connection")
}

func TestOpenPageSaysThatItIsNoLongerPermitted(t *testing.T) {
	t.Parallel()
	w := open(t, testdb.SQLite)
	readable, revoke := revocable()
	b := newTab(t, serve(t, w, readable))
	b.open("/")
	assert.Contains(t, b.text("#summary"), "All is quiet")
	revoke()
	w.dead(t, 2)
	b.says("#lost", "You may no longer see this page: what you see is old.")
	assert.Contains(t, b.text("#summary"), "All is quiet", "what it could see")
}
