package pair

import (
	"context"
	"crypto/rand"
	"database/sql"
	"errors"
	"fmt"
	mathrand "math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"
	"github.com/stretchr/testify/require"

	"github.com/entsignal/signalbus/integration/internal/testdb"
	"github.com/entsignal/signalbus/internal/faultproxy"
)

// Config is what a run is about.
type Config struct {
	Binary  string       // of [Build]
	Env     []string     // of its processes, added to that of the test
	AMQP    string       // the URL of the broker
	Kills   int          // of the processes of each bank
	Cuts    int          // of all connections of a bank to its database or the broker
	Restart func() error // restarts the broker, in the middle; nil: nobody does
}

const (
	// processes is how many each bank has at a time. What a killed or cut-off one had in
	// hand goes to the other at once.
	processes = 2
	// sendEvery is how often each of them sends money.
	sendEvery = 5 * time.Millisecond
	// latency is that of the way to the broker. Without it an acknowledgement follows its
	// commit so closely that a fault rarely comes in between.
	latency = 2 * time.Millisecond
)

// bank is one of the two.
type bank struct {
	name    string
	db      *sql.DB // past the proxies
	env     []string
	proxies []*faultproxy.Proxy
	kills   atomic.Int64
}

type run struct {
	Config
	banks    []*bank
	exchange string
	enough   chan struct{} // closed when there were faults enough
}

// Run lets the banks send each other money while the faults strike, waits until nothing is
// under way, and judges. It fails the test only if it can't tell what happened; the verdict
// is for the caller to check.
func Run(t testing.TB, c Config) Verdict {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute+time.Second*time.Duration(5*c.Kills))
	defer cancel()
	r := &run{Config: c, exchange: "pair-" + rand.Text()[:10], enough: make(chan struct{})}
	direct := []string{"AMQP_URL=" + c.AMQP, "PAIR_EXCHANGE=" + r.exchange}
	for _, place := range []struct {
		bank, variable string
		kind           testdb.Kind
	}{{"north", "NORTH_DATABASE_URL", testdb.PostgreSQL}, {"south", "SOUTH_DATABASE_DSN", testdb.MariaDB}} {
		db := testdb.New(t, place.kind)
		b := &bank{name: place.bank, db: db.Open(t)}
		r.banks = append(r.banks, b)
		behind, toDB := db.Through(t)
		toBroker, amqpURL := faultproxy.ForURL(t, c.AMQP, "5672")
		toBroker.Latency.Store(int64(latency))
		b.proxies = []*faultproxy.Proxy{toDB, toBroker}
		b.env = slices.Concat(c.Env, []string{place.variable + "=" + behind.DSN, "AMQP_URL=" + amqpURL, "PAIR_EXCHANGE=" + r.exchange})
		direct = append(direct, place.variable+"="+db.DSN)
	}
	setup, err := start(c.Binary, direct, "setup")
	require.NoError(t, err)
	<-setup.over
	require.NoError(t, setup.err, "%s", &setup.stderr)
	t.Cleanup(func() { require.NoError(t, r.withChannel(r.deleteQueues)) })

	require.NoError(t, r.disturbed(ctx))
	require.NoError(t, r.drain(ctx, slices.Concat(c.Env, direct)))
	all := books{balances: make(map[string]map[int]int)}
	for _, b := range r.banks {
		require.NoError(t, all.read(ctx, b.db, b.name))
	}
	v := all.judge()
	for _, b := range r.banks {
		n, err := r.queued(b.name + ".dead")
		require.NoError(t, err)
		v.Dead += n
	}
	return v
}

// disturbed replaces the processes as they are killed, until there were faults enough.
// Those that live then stop gracefully.
func (r *run) disturbed(ctx context.Context) error {
	ctx, end := context.WithCancel(ctx)
	defer end()
	var (
		processing, striking sync.WaitGroup
		mu                   sync.Mutex
		errs                 []error
	)
	try := func(all *sync.WaitGroup, f func(context.Context) error) {
		all.Go(func() {
			if err := f(ctx); err != nil {
				end()
				mu.Lock()
				defer mu.Unlock()
				errs = append(errs, err)
			}
		})
	}
	killed := make(chan struct{}, len(r.banks)*(r.Kills+processes))
	for _, b := range r.banks {
		for range processes {
			try(&processing, func(ctx context.Context) error { return r.replace(ctx, b, killed) })
		}
	}
	try(&striking, func(ctx context.Context) error { return r.countKills(ctx, killed) })
	try(&striking, r.cutConnections)
	striking.Wait()
	close(r.enough)
	processing.Wait()
	return errors.Join(append(errs, ctx.Err())...)
}

// replace keeps a process of a bank running, and kills it each time after some transfers.
func (r *run) replace(ctx context.Context, b *bank, killed chan<- struct{}) error {
	for {
		p, err := start(r.Binary, b.env, "serve", b.name, "-every", sendEvery.String())
		if err != nil {
			return err
		}
		p.await(ctx, 3+mathrand.IntN(20))
		if int(b.kills.Add(1)) > r.Kills {
			select {
			case <-r.enough:
			case <-ctx.Done():
			}
			return p.stop()
		}
		if err := p.kill(); err != nil {
			return err
		}
		killed <- struct{}{}
	}
}

// countKills waits for all kills, and restarts the broker after half of them.
func (r *run) countKills(ctx context.Context, killed <-chan struct{}) error {
	all := len(r.banks) * r.Kills
	for n := range all {
		if n == all/2 && r.Restart != nil {
			if err := r.Restart(); err != nil {
				return err
			}
		}
		select {
		case <-killed:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return nil
}

// cutConnections cuts the connections of a bank to its database, or to the broker, again
// and again. Half of the time they lose what is sent for a moment before.
func (r *run) cutConnections(ctx context.Context) error {
	for range r.Cuts {
		if !pause(ctx, 50+mathrand.IntN(300)) {
			return ctx.Err()
		}
		b := r.banks[mathrand.IntN(len(r.banks))]
		cut := b.proxies[mathrand.IntN(len(b.proxies))].Fade(mathrand.IntN(2) == 0, mathrand.IntN(2) == 0)
		pause(ctx, mathrand.IntN(20))
		cut()
	}
	return nil
}

func pause(ctx context.Context, milliseconds int) bool {
	select {
	case <-time.After(time.Duration(milliseconds) * time.Millisecond):
		return true
	case <-ctx.Done():
		return false
	}
}

// drain runs both banks, undisturbed, until nothing waits in an outbox or a queue, also
// when they have stopped.
func (r *run) drain(ctx context.Context, env []string) error {
	for {
		var all []*process
		for _, b := range r.banks {
			p, err := start(r.Binary, env, "serve", b.name)
			if err != nil {
				return err
			}
			all = append(all, p)
		}
		err := r.awaitEmpty(ctx)
		for _, p := range all {
			err = errors.Join(err, p.stop())
		}
		if err != nil {
			return err
		}
		if waiting, err := r.waiting(ctx); err != nil || waiting == 0 {
			return err
		}
	}
}

func (r *run) awaitEmpty(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	for {
		waiting, err := r.waiting(ctx)
		if err != nil || waiting == 0 {
			return err
		}
		if !pause(ctx, 20) {
			return fmt.Errorf("%d messages still wait: %w", waiting, ctx.Err())
		}
	}
}

// waiting returns how many messages wait in the outboxes and the queues.
func (r *run) waiting(ctx context.Context) (n int, err error) {
	for _, b := range r.banks {
		for _, table := range []string{"money_sents", "money_answereds"} {
			var pending int
			if err := b.db.QueryRowContext(ctx, "SELECT count(*) FROM "+table).Scan(&pending); err != nil {
				return 0, err
			}
			n += pending
		}
		ready, err := r.queued(b.name)
		if err != nil {
			return 0, err
		}
		n += ready
	}
	return n, nil
}

// queued returns how many messages of a queue nobody holds.
func (r *run) queued(name string) (n int, err error) {
	err = r.withChannel(func(ch *amqp.Channel) error {
		q, err := ch.QueueDeclarePassive(r.exchange+"."+name, true, false, false, false, nil)
		n = q.Messages
		return err
	})
	return n, err
}

func (r *run) deleteQueues(ch *amqp.Channel) error {
	errs := []error{ch.ExchangeDelete(r.exchange, false, false)}
	for _, b := range r.banks {
		for _, name := range []string{b.name, b.name + ".dead"} {
			_, err := ch.QueueDelete(r.exchange+"."+name, false, false, false)
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}

func (r *run) withChannel(f func(*amqp.Channel) error) error {
	conn, err := amqp.Dial(r.AMQP)
	if err != nil {
		return err
	}
	defer conn.Close()
	ch, err := conn.Channel()
	if err != nil {
		return err
	}
	return f(ch)
}
