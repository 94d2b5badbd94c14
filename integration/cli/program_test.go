package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/entsignal/signalbus/cmd/signalcli"
	"github.com/entsignal/signalbus/entsignal"
	"github.com/entsignal/signalbus/integration/internal/testdb"
	"github.com/entsignal/signalbus/integration/shop/ent"
)

// What scripts set in the environment of the program.
const (
	envKind    = "SHOP_KIND"    // the database
	envDSN     = "SHOP_DSN"     // and how to reach it
	envFail    = "SHOP_FAIL"    // signals whose sender fails, separated by commas
	envHold    = "SHOP_HOLD_AT" // the AuditLogged with this number waits for fileRelease
	envOpen    = "SHOP_OPEN"    // an error that opening the bus returns
	envMissing = "SHOP_MISSING" // a signal that has no sender
	envHang    = "SHOP_HANG"    // signals whose sender hangs and heeds nothing, separated by commas
	envTimeout = "SHOP_TIMEOUT" // the flush timeout
	envTTY     = "SHOP_TTY"     // signalbus: standard error is the terminal
)

// Files in a script's folder.
const (
	fileSent    = "sent.txt"   // each signal that was sent: its name and number
	fileTries   = "tries.txt"  // each call of a sender that failed
	fileOpened  = "opened.txt" // a line each time that the bus was opened
	fileLog     = "log.txt"    // standard error, for await
	fileDown    = "down"       // while it's there, the broker can't be reached
	fileHeld    = "held.txt"   // the sender waits for fileRelease
	fileRelease = "release"
)

// alone is a program whose root command is the group.
func alone() int {
	group := signalcli.Command(open)
	group.SetErr(logged())
	if os.Getenv(envTTY) != "" {
		tty, err := os.OpenFile("/dev/tty", os.O_WRONLY, 0)
		if err != nil {
			panic(err)
		}
		group.SetErr(tty)
	}
	return signalcli.ExitCode(group.Execute())
}

// mounted is a program that has the group among commands of its own, and
// makes its context end at an interrupt, as many do.
func mounted() int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	root := &cobra.Command{Use: "shop", SilenceErrors: true}
	root.PersistentFlags().String("config", "", "a flag of the program's own")
	record := &cobra.Command{Use: "record SIGNAL FROM TO", Args: cobra.ExactArgs(3), RunE: record}
	root.AddCommand(record, signalcli.Command(open))
	root.SetErr(logged())
	err := root.ExecuteContext(ctx)
	if err != nil {
		fmt.Fprintln(root.ErrOrStderr(), "shop:", err)
	}
	return signalcli.ExitCode(err)
}

// logged returns standard error, which is written to a file too.
func logged() io.Writer {
	f, err := os.OpenFile(fileLog, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		panic(err)
	}
	return io.MultiWriter(os.Stderr, f)
}

func note(file, line string) error {
	f, err := os.OpenFile(file, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	_, err = fmt.Fprint(f, line, "\n")
	return errors.Join(err, f.Close())
}

func exists(file string) bool {
	_, err := os.Stat(file)
	return err == nil
}

func open(context.Context) (*entsignal.Bus, func() error, error) {
	if err := note(fileOpened, "opened"); err != nil {
		return nil, nil, err
	}
	if text := os.Getenv(envOpen); text != "" {
		return nil, nil, errors.New(text)
	}
	senders := ent.SignalSenders{
		AuditLogged:   sender(func(s *ent.AuditLogged) int { return s.Number }),
		BadgeGiven:    sender(func(s *ent.BadgeGiven) int { return s.Number }),
		InvoiceIssued: sender(func(s *ent.InvoiceIssued) int { return s.Number }),
		Measured:      sender(func(s *ent.Measured) int { return s.ID }),
		OrderPlaced:   sender(func(s *ent.OrderPlaced) int { return s.Number }),
		ShipmentDue:   sender(func(s *ent.ShipmentDue) int { return s.Number }),
		TicketOpened:  sender(func(s *ent.TicketOpened) int { return s.Number }),
		UserJoined:    sender(func(s *ent.UserJoined) int { return s.Number }),
	}
	var opts []entsignal.BusOption
	if text := os.Getenv(envTimeout); text != "" {
		timeout, err := time.ParseDuration(text)
		if err != nil {
			return nil, nil, err
		}
		opts = append(opts, entsignal.WithFlushTimeout(timeout))
	}
	if os.Getenv(envMissing) == "OrderPlaced" {
		senders.OrderPlaced = nil
		opts = append(opts, entsignal.WithMissingSenders())
	}
	bus, err := ent.NewSignalBus(senders, opts...)
	if err != nil {
		return nil, nil, err
	}
	client, err := connect(ent.WithSignalBus(bus))
	if err != nil {
		return nil, nil, err
	}
	return bus, client.Close, nil
}

func connect(opts ...ent.Option) (*ent.Client, error) {
	i := slices.IndexFunc(testdb.All, func(k testdb.Kind) bool { return k.Name == os.Getenv(envKind) })
	driver, err := (&testdb.DB{Kind: testdb.All[i], DSN: os.Getenv(envDSN)}).Connect()
	if err != nil {
		return nil, err
	}
	return ent.NewClient(append(opts, ent.Driver(driver))...), nil
}

// sender returns a sender that notes what it sends, and fails as it is told.
func sender[T any](number func(T) int) entsignal.Sender[T] {
	return func(ctx context.Context, signals []T) error {
		batch, _ := entsignal.BatchFromContext(ctx)
		name := batch.Signal.Name
		if exists(fileDown) {
			return errors.Join(entsignal.Unavailable(errors.New("the broker is down")), note(fileTries, name))
		}
		if slices.Contains(strings.Split(os.Getenv(envHang), ","), name) {
			<-time.After(time.Hour)
		}
		if slices.Contains(strings.Split(os.Getenv(envFail), ","), name) {
			return errors.Join(errors.New("the broker refused it"), note(fileTries, name))
		}
		for _, s := range signals {
			if name == "AuditLogged" && os.Getenv(envHold) == strconv.Itoa(number(s)) {
				if err := hold(ctx); err != nil {
					return err
				}
			}
		}
		var lines []string
		for _, s := range signals {
			lines = append(lines, fmt.Sprint(name, " ", number(s)))
		}
		return note(fileSent, strings.Join(lines, "\n"))
	}
}

func hold(ctx context.Context) error {
	if err := note(fileHeld, "held"); err != nil {
		return err
	}
	for !exists(fileRelease) {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(time.Millisecond):
		}
	}
	return nil
}

// record records signals with the numbers FROM to TO, and sends none.
func record(c *cobra.Command, args []string) error {
	client, err := connect()
	if err != nil {
		return err
	}
	defer client.Close()
	from, err := strconv.Atoi(args[1])
	if err != nil {
		return err
	}
	to, err := strconv.Atoi(args[2])
	if err != nil {
		return err
	}
	ctx, n := c.Context(), make([]struct{}, to-from+1)
	switch args[0] {
	case "AuditLogged":
		return client.AuditLogged.MapCreateBulk(n, func(c *ent.AuditLoggedCreate, i int) { c.SetNumber(from + i) }).Exec(ctx)
	case "OrderPlaced":
		return client.OrderPlaced.MapCreateBulk(n, func(c *ent.OrderPlacedCreate, i int) { c.SetNumber(from + i) }).Exec(ctx)
	case "ShipmentDue":
		return client.ShipmentDue.MapCreateBulk(n, func(c *ent.ShipmentDueCreate, i int) { c.SetNumber(from + i).SetCustomer("x") }).Exec(ctx)
	}
	return fmt.Errorf("record can't do %s", args[0])
}
