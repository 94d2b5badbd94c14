package web

import (
	"archive/tar"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/fetch"
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/cdproto/target"
	"github.com/chromedp/chromedp"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// theBrowser is the Chromium of all tests. It ends with the package.
var theBrowser = struct {
	once sync.Once
	ctx  context.Context
	end  []func()
	err  error
}{}

func TestMain(m *testing.M) {
	code := m.Run()
	for i := len(theBrowser.end) - 1; i >= 0; i-- {
		theBrowser.end[i]()
	}
	os.Exit(code)
}

// browser returns a context of the browser, which it starts.
func browser(t testing.TB) context.Context {
	t.Helper()
	b := &theBrowser
	b.once.Do(func() {
		if _, b.err = exec.LookPath("chromium"); b.err != nil {
			b.err = errors.New("Chromium is missing; as root: apt-get install --no-install-recommends chromium")
			return
		}
		opts := append(chromedp.DefaultExecAllocatorOptions[:], chromedp.ExecPath("chromium"), chromedp.DisableGPU,
			chromedp.WSURLReadTimeout(time.Minute), chromedp.Flag("force-color-profile", "srgb"), chromedp.Flag("hide-scrollbars", true))
		if os.Geteuid() == 0 {
			opts = append(opts, chromedp.NoSandbox)
		}
		alloc, endAlloc := chromedp.NewExecAllocator(context.Background(), opts...)
		var end context.CancelFunc
		b.ctx, end = chromedp.NewContext(alloc, chromedp.WithErrorf(func(string, ...any) {})) // of events that are newer than the library
		b.end = []func(){endAlloc, end}
		b.err = chromedp.Run(b.ctx)
	})
	require.NoError(t, b.err)
	return b.ctx
}

// tab is a tab of the browser, with cookies and passwords of its own.
type tab struct {
	ctx  context.Context
	t    testing.TB
	site *page

	mu     sync.Mutex
	faults []string // what the browser complains about
}

func newTab(t testing.TB, s *page) *tab {
	t.Helper()
	parent := browser(t)
	whole := cdp.WithExecutor(parent, chromedp.FromContext(parent).Browser)
	profile, err := target.CreateBrowserContext().Do(whole)
	require.NoError(t, err)
	t.Cleanup(func() { _ = target.DisposeBrowserContext(profile).Do(whole) })
	id, err := target.CreateTarget("about:blank").WithBrowserContextID(profile).WithNewWindow(true).Do(whole)
	require.NoError(t, err)
	c, end := chromedp.NewContext(parent, chromedp.WithTargetID(id))
	t.Cleanup(end)
	c, endTime := context.WithTimeout(c, time.Minute)
	t.Cleanup(endTime)
	b := &tab{ctx: c, t: t, site: s}
	chromedp.ListenTarget(c, func(e any) {
		b.mu.Lock()
		defer b.mu.Unlock()
		switch e := e.(type) {
		case *log.EventEntryAdded:
			if e.Entry.Level == log.LevelError && !strings.Contains(e.Entry.Text, "Failed to load resource") {
				b.faults = append(b.faults, e.Entry.Text)
			}
		case *runtime.EventExceptionThrown:
			b.faults = append(b.faults, e.ExceptionDetails.Error())
		}
	})
	b.run(chromedp.EmulateViewport(1280, 900))
	t.Cleanup(func() {
		b.mu.Lock()
		defer b.mu.Unlock()
		assert.Empty(t, b.faults, "what the browser complains about")
	})
	return b
}

// run does things in the tab.
func (b *tab) run(actions ...chromedp.Action) {
	b.t.Helper()
	err := chromedp.Run(b.ctx, actions...)
	// What was found may belong to the page before: then nothing was done with it.
	for tries := 0; tries < 100 && err != nil && strings.Contains(err.Error(), "node with given id"); tries++ {
		time.Sleep(10 * time.Millisecond)
		err = chromedp.Run(b.ctx, actions...)
	}
	require.NoError(b.t, err)
}

// open opens a page of the site.
func (b *tab) open(path string) {
	b.t.Helper()
	b.run(chromedp.Navigate(b.site.URL+path), chromedp.WaitReady("footer"))
}

// click clicks on what a selector finds, once it is there and the page is complete: what
// is clicked before the script runs is done without it. It needs no place on the screen,
// which moves while the page follows what happens.
func (b *tab) click(selector string) {
	b.t.Helper()
	require.Eventually(b.t, func() bool {
		var clicked bool
		err := chromedp.Run(b.ctx, chromedp.Evaluate(fmt.Sprintf(`(e => { e?.click(); return e !== null })(document.readyState === "complete" ? document.querySelector(%q) : null)`, selector), &clicked,
			func(p *runtime.EvaluateParams) *runtime.EvaluateParams { return p.WithUserGesture(true) }))
		return err == nil && clicked
	}, 20*time.Second, 10*time.Millisecond, "%s can't be clicked", selector)
}

// text returns the text of what a selector finds, once it is there.
func (b *tab) text(selector string) (text string) {
	b.t.Helper()
	b.run(chromedp.Text(selector, &text, chromedp.ByQuery))
	return text
}

// says waits until what a selector finds contains a text.
func (b *tab) says(selector, want string) {
	b.t.Helper()
	var text string
	assert.Eventually(b.t, func() bool {
		// Between two pages there may be nothing to ask.
		err := chromedp.Run(b.ctx, chromedp.Evaluate(fmt.Sprintf(`document.querySelector(%q)?.textContent ?? ""`, selector), &text))
		return err == nil && strings.Contains(text, want)
	}, 20*time.Second, 10*time.Millisecond)
	require.Contains(b.t, text, want)
}

// eval returns what an expression of JavaScript yields.
func eval[T any](b *tab, expression string) (v T) {
	b.t.Helper()
	b.run(chromedp.Evaluate(expression, &v, func(p *runtime.EvaluateParams) *runtime.EvaluateParams { return p.WithAwaitPromise(true) }))
	return v
}

// withoutScripts turns JavaScript off.
func (b *tab) withoutScripts() {
	b.t.Helper()
	b.run(emulation.SetScriptExecutionDisabled(true))
}

// signsIn answers when the browser asks for a password.
func (b *tab) signsIn(password string) {
	b.t.Helper()
	chromedp.ListenTarget(b.ctx, func(e any) {
		act := func(a chromedp.Action) {
			go func() { _ = a.Do(chromedpExecutor(b.ctx)) }() // the listener must not wait
		}
		switch e := e.(type) {
		case *fetch.EventRequestPaused:
			act(fetch.ContinueRequest(e.RequestID))
		case *fetch.EventAuthRequired:
			act(fetch.ContinueWithAuth(e.RequestID, &fetch.AuthChallengeResponse{Response: fetch.AuthChallengeResponseResponseProvideCredentials, Username: "ada", Password: password}))
		}
	})
	b.run(fetch.Enable().WithHandleAuthRequests(true))
}

// chromedpExecutor returns the context in which actions are done outside of a run.
func chromedpExecutor(c context.Context) context.Context {
	return cdp.WithExecutor(c, chromedp.FromContext(c).Target)
}

// axeVersion is the version of axe-core, and axeSum the SHA-256 of its axe.min.js.
const (
	axeVersion = "4.14.1"
	axeSum     = "29348999450cdf2849a8e70b7912fc2da85a849da39c0d0d5394f51d4a9ed95c"
)

// axe returns axe-core, which finds what keeps people from using a page. It comes from
// npm, once for a user of a machine.
var axe = sync.OnceValues(func() (string, error) {
	cache, err := os.UserCacheDir()
	if err != nil {
		cache = os.TempDir()
	}
	file := filepath.Join(cache, "entsignal-tests", "axe-"+axeVersion+".js")
	text, err := os.ReadFile(file)
	if err != nil {
		if text, err = packAxe(); err != nil {
			return "", err
		}
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err == nil {
			_ = os.WriteFile(file, text, 0o600) // the next one fetches it again
		}
	}
	if sum := sha256.Sum256(text); hex.EncodeToString(sum[:]) != axeSum {
		_ = os.Remove(file)
		return "", errors.New("axe-core " + axeVersion + " is not the one that was expected")
	}
	return string(text), nil
})

func packAxe() ([]byte, error) {
	dir, err := os.MkdirTemp("", "axe")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	pack := exec.Command("npm", "pack", "--silent", "axe-core@"+axeVersion)
	pack.Dir = dir
	if out, err := pack.CombinedOutput(); err != nil {
		return nil, errors.Join(errors.New("npm pack axe-core: "+string(out)+" (npm is missing? as root: apt-get install npm)"), err)
	}
	f, err := os.Open(filepath.Join(dir, "axe-core-"+axeVersion+".tgz"))
	if err != nil {
		return nil, err
	}
	defer f.Close()
	unzipped, err := gzip.NewReader(f)
	if err != nil {
		return nil, err
	}
	for files := tar.NewReader(unzipped); ; {
		header, err := files.Next()
		if err != nil {
			return nil, err
		}
		if header.Name == "package/axe.min.js" {
			return io.ReadAll(files)
		}
	}
}

// violation is something that axe-core has found.
type violation struct {
	ID, Help string
	Nodes    []struct {
		HTML           string `json:"html"`
		FailureSummary string `json:"failureSummary"`
	}
}

// isAccessible checks the page that is open.
func (b *tab) isAccessible() {
	b.t.Helper()
	source, err := axe()
	require.NoError(b.t, err)
	found := eval[[]violation](b, source+`;axe.run(document, {resultTypes: ["violations"]}).then(r => r.violations)`)
	assert.Empty(b.t, found)
}

// fits checks that nothing is wider than the window.
func (b *tab) fits() {
	b.t.Helper()
	assert.LessOrEqual(b.t, eval[int](b, `document.documentElement.scrollWidth`), eval[int](b, `innerWidth`))
}
