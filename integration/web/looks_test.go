package web

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"
	"github.com/stretchr/testify/require"

	"github.com/entsignal/signalbus/entsignal"
	"github.com/entsignal/signalbus/entsignal/signalweb"
	"github.com/entsignal/signalbus/integration/internal/testdb"
	"github.com/entsignal/signalbus/integration/retry/ent"
)

// envScreenshots is a folder for pictures of each state, for somebody to look at.
const envScreenshots = "ENTSIGNAL_SCREENSHOTS"

// picture saves what the tab shows, if there is a folder for it.
func (b *tab) picture(name string) {
	b.t.Helper()
	dir := os.Getenv(envScreenshots)
	if dir == "" {
		return
	}
	var png []byte
	b.run(chromedp.FullScreenshot(&png, 100))
	require.NoError(b.t, os.WriteFile(filepath.Join(dir, name+".png"), png, 0o600))
}

// In each state the page is accessible, in both colour schemes, and fits into a narrow
// window.
func TestPageIsAccessibleInEachState(t *testing.T) {
	t.Parallel()
	w := open(t, testdb.PostgreSQL)
	s := serve(t, w, full, signalweb.ShowFields())
	b := newTab(t, s)
	scheme := func(name string) {
		b.run(emulation.SetEmulatedMedia().WithFeatures([]*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: name}}))
	}
	look := func(name, path string) {
		t.Helper()
		b.open(path)
		scheme("light")
		b.isAccessible()
		b.picture(name)
		scheme("dark")
		b.isAccessible()
		b.picture(name + "-dark")
		b.run(chromedp.EmulateViewport(360, 740))
		b.fits()
		b.picture(name + "-narrow-dark")
		scheme("light")
		b.picture(name + "-narrow")
		b.run(chromedp.EmulateViewport(2560, 1300))
		b.fits()
		b.picture(name + "-large")
		b.run(chromedp.EmulateViewport(1280, 900))
	}
	look("empty", "/")
	look("relay", "/relay")

	// Something is sent, and something waits.
	w.queue(t, 300)
	_, err := w.bus.FlushMany(ctx(t))
	require.NoError(t, err)
	w.queue(t, 40)
	w.NoteTaken.Create().SetNumber(1).ExecX(ctx(t))
	b.run(chromedp.Sleep(1100 * time.Millisecond)) // so that the rate has a whole second
	look("busy", "/")

	// Some fail for good, and some for now.
	w.fails(func(signal string, number int) error {
		switch {
		case signal == "MailWanted":
			return errAway
		case number%7 == 0:
			return entsignal.Permanent(fmt.Errorf("encode: the field \"currency\" is empty\nof order %d", number/70))
		case number%5 == 0:
			return errors.New("publish to amqp://orders@mq.internal:5672/shop: 312 NO_ROUTE: no queue is bound to exchange \"jobs\" with the routing key \"jobs.created.v2\"")
		default:
			return nil
		}
	})
	_, err = w.bus.FlushMany(ctx(t), entsignal.Only("JobQueued"))
	require.Error(t, err)
	look("failing", "/signals/JobQueued")
	b.click(".risky[value=all]")
	b.says("dialog", "Discard all failed messages?")
	b.isAccessible()
	b.picture("confirm")
	_, err = w.bus.FlushMany(ctx(t), entsignal.Only("JobQueued"))
	require.NoError(t, err)
	look("dead", "/")
	failed, err := w.bus.Failed(ctx(t), entsignal.AtMost(1))
	require.NoError(t, err)
	look("message", "/signals/JobQueued/"+failed[0].ID)

	// An order is blocked, by a message and by a transaction.
	w.StepDone.MapCreateBulk(make([]struct{}, 9), func(c *ent.StepDoneCreate, i int) { c.SetNumber(7 + i) }).ExecX(ctx(t))
	for range 2 {
		_, err = w.bus.FlushOrdered(ctx(t), entsignal.Only("StepDone"))
		require.Error(t, err)
	}
	look("blocked", "/signals/StepDone")
	tx, err := w.Tx(ctx(t))
	require.NoError(t, err)
	tx.LineMoved.Create().SetLine("north").SetNumber(1).ExecX(ctx(t))
	w.LineMoved.Create().SetLine("north").SetNumber(2).ExecX(ctx(t))
	_, err = w.bus.FlushOrdered(ctx(t), entsignal.Only("LineMoved"), entsignal.HoldBack(0))
	require.ErrorAs(t, err, new(*entsignal.HeldBackError))
	look("held", "/signals/LineMoved")
	require.NoError(t, tx.Rollback())

	// The broker is away.
	for range 3 {
		w.MailWanted.Create().SetNumber(1).ExecX(ctx(t))
	}
	look("away", "/signals/MailWanted")
	look("troubles", "/")
	look("nothing", "/signals/Nothing")
	w.fails(nil)
}
