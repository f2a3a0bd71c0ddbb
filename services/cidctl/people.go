package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"strings"

	"github.com/spf13/cobra"
	"golang.org/x/term"
	"google.golang.org/grpc"
	"google.golang.org/protobuf/types/known/fieldmaskpb"

	"cidsistem.example/proto/access"
	"cidsistem.example/proto/gen/annotationsv1"
	"cidsistem.example/proto/gen/identityv1"
	"cidsistem.example/services/platform/cli"
)

// rulesCommand needs no server: the rules are part of the contract.
func rulesCommand() *cobra.Command {
	return &cobra.Command{
		Use: "rules", Short: "Show who may call what", Args: cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			all, err := access.Table()
			if err != nil {
				return err
			}
			rows := [][]string{{"METHOD", "WHO", "TO SHOW MORE", "AUDITED"}}
			for _, row := range all {
				audited := ""
				if row.Audited {
					audited = "always"
				}
				rows = append(rows, []string{row.Service + "." + row.Method, row.Who, row.ToShowMore, audited})
			}
			return table(os.Stdout, rows)
		},
	}
}

// accountsCommand looks after the accounts of a server.
func accountsCommand(link *connection) *cobra.Command {
	command := &cobra.Command{Use: "accounts", Short: "Look after the accounts of a server"}
	command.AddCommand(accountsList(link), accountsAdd(link), accountsInvite(link), accountsSuspend(link), accountsDelete(link))
	return command
}

func accountsList(link *connection) *cobra.Command {
	return &cobra.Command{
		Use: "list NODE", Short: "List the accounts of a node, for example nodes/marsala", Args: cobra.ExactArgs(1),
		RunE: link.call(func(ctx context.Context, conn *grpc.ClientConn, args []string) error {
			answer, err := identityv1.NewAccountServiceClient(conn).ListAccounts(ctx, &identityv1.ListAccountsRequest{Parent: args[0], PageSize: 1000})
			if err != nil {
				return err
			}
			rows := [][]string{{"ACCOUNT", "LOGIN", "STATE", "ROLES"}}
			for _, account := range answer.GetAccounts() {
				var roles []string
				for _, grant := range account.GetGrants() {
					roles = append(roles, grant.GetRole().String()+" over "+grant.GetScope())
				}
				rows = append(rows, []string{account.GetName(), account.GetLogin(), account.GetState().String(), strings.Join(roles, ", ")})
			}
			return table(os.Stdout, rows)
		}),
	}
}

// accountsAdd makes an account and prints a one-time link. The first one of a
// node is made with it, as its administrator, on the local socket.
func accountsAdd(link *connection) *cobra.Command {
	var login, name, site string
	var grants []string
	command := &cobra.Command{
		Use: "add NODE", Short: "Make an account and print a one-time link with which the person chooses a password", Args: cobra.ExactArgs(1),
		Example: "  # the first administrator of a node, on its machine\n" +
			"  cidctl accounts add nodes/marsala --socket /var/lib/cid-sistem/registry/admin.sock --login ced --name 'Ufficio CED' \\\n" +
			"    --grant NODE_ADMINISTRATOR=nodes/marsala --site https://cid.comune.example",
		RunE: link.call(func(ctx context.Context, conn *grpc.ClientConn, args []string) error {
			account := &identityv1.Account{Login: login, DisplayName: name}
			for _, text := range grants {
				role, scope, found := strings.Cut(text, "=")
				number, known := annotationsv1.Role_value[role]
				if !found || !known || number == 0 {
					return cli.UsageError(fmt.Errorf("--grant %q: write ROLE=SCOPE, for example EDITOR=comuni/marsala", text))
				}
				account.Grants = append(account.Grants, &identityv1.Grant{Role: annotationsv1.Role(number), Scope: scope})
			}
			made, err := identityv1.NewAccountServiceClient(conn).CreateAccount(ctx, &identityv1.CreateAccountRequest{Parent: args[0], Account: account})
			if err != nil {
				return err
			}
			fmt.Println("made " + made.GetName())
			return invite(ctx, conn, made.GetName(), site, false)
		}),
	}
	command.Flags().StringVar(&login, "login", "", "what the person types to sign in")
	command.Flags().StringVar(&name, "name", "", "what colleagues see")
	command.Flags().StringArrayVar(&grants, "grant", nil, "a role over a scope, ROLE=SCOPE; more than once for more")
	command.Flags().StringVar(&site, "site", "", "address of the portal, for the link")
	for _, flag := range []string{"login", "name"} {
		if err := command.MarkFlagRequired(flag); err != nil {
			panic(err) // the flag is two lines above
		}
	}
	return command
}

func accountsInvite(link *connection) *cobra.Command {
	var site string
	var reset bool
	command := &cobra.Command{
		Use: "invite ACCOUNT", Short: "Print a new one-time link, for who forgot the password", Args: cobra.ExactArgs(1),
		RunE: link.call(func(ctx context.Context, conn *grpc.ClientConn, args []string) error {
			return invite(ctx, conn, args[0], site, reset)
		}),
	}
	command.Flags().StringVar(&site, "site", "", "address of the portal, for the link")
	command.Flags().BoolVar(&reset, "reset-factors", false, "forget the second factors too, for who lost them")
	return command
}

func accountsSuspend(link *connection) *cobra.Command {
	var back bool
	command := &cobra.Command{
		Use: "suspend ACCOUNT", Short: "Let an account sign in no more, and end its sessions", Args: cobra.ExactArgs(1),
		RunE: link.call(func(ctx context.Context, conn *grpc.ClientConn, args []string) error {
			state := identityv1.Account_SUSPENDED
			if back {
				state = identityv1.Account_ACTIVE
			}
			changed, err := identityv1.NewAccountServiceClient(conn).UpdateAccount(ctx, &identityv1.UpdateAccountRequest{
				Account: &identityv1.Account{Name: args[0], State: state}, UpdateMask: &fieldmaskpb.FieldMask{Paths: []string{"state"}},
			})
			if err != nil {
				return err
			}
			_, err = fmt.Println(changed.GetName() + " is " + changed.GetState().String())
			return err
		}),
	}
	command.Flags().BoolVar(&back, "undo", false, "let it sign in again")
	return command
}

func accountsDelete(link *connection) *cobra.Command {
	var sure bool
	command := &cobra.Command{
		Use: "delete ACCOUNT", Short: "Erase an account with its secrets and sessions, for good", Args: cobra.ExactArgs(1),
		RunE: link.call(func(ctx context.Context, conn *grpc.ClientConn, args []string) error {
			if !sure {
				return cli.UsageError(errors.New("an erased account does not come back: say --yes"))
			}
			if _, err := identityv1.NewAccountServiceClient(conn).DeleteAccount(ctx, &identityv1.DeleteAccountRequest{Name: args[0]}); err != nil {
				return err
			}
			_, err := fmt.Println(args[0] + " is erased")
			return err
		}),
	}
	command.Flags().BoolVar(&sure, "yes", false, "yes, erase it")
	return command
}

func invite(ctx context.Context, conn *grpc.ClientConn, account, site string, reset bool) error {
	answer, err := identityv1.NewAccountServiceClient(conn).InviteAccount(ctx, &identityv1.InviteAccountRequest{Name: account, ResetFactors: reset})
	if err != nil {
		return err
	}
	node, _, _ := strings.Cut(strings.TrimPrefix(account, "nodes/"), "/")
	until := answer.GetExpireTime().AsTime().Local().Format("2006-01-02 15:04")
	fmt.Printf("Hand this over in confidence; it is good once, until %s:\n", until)
	if site == "" {
		fmt.Println("  code " + answer.GetCode() + " of node " + node)
		return nil
	}
	fmt.Println("  " + strings.TrimSuffix(site, "/") + "/accesso/invito?" + url.Values{"nodo": {node}, "codice": {answer.GetCode()}}.Encode())
	return nil
}

// signInCommand prints an access token, for calls as a person.
func signInCommand(link *connection) *cobra.Command {
	var login, code string
	command := &cobra.Command{
		Use: "sign-in NODE", Short: "Sign in and print an access token, good for five minutes (export CID_TOKEN)", Args: cobra.ExactArgs(1),
		Long: "The password is read from the terminal, or from standard input when that is none.",
		RunE: link.call(func(ctx context.Context, conn *grpc.ClientConn, args []string) error {
			password, err := readPassword()
			if err != nil {
				return err
			}
			sessions := identityv1.NewSessionServiceClient(conn)
			answer, err := sessions.SignIn(ctx, &identityv1.SignInRequest{Parent: args[0], Login: login, Password: password})
			if err != nil {
				return err
			}
			session := answer.GetSession()
			if challenge := answer.GetChallenge(); challenge != nil {
				if code == "" {
					return cli.UsageError(errors.New("the account has a second factor: give its six digits with --code"))
				}
				session, err = sessions.AnswerChallenge(ctx, &identityv1.AnswerChallengeRequest{
					Parent: args[0], Token: challenge.GetToken(), Answer: &identityv1.AnswerChallengeRequest_TotpCode{TotpCode: code},
				})
				if err != nil {
					return err
				}
			}
			fmt.Println(session.GetAccessToken())
			return nil
		}),
	}
	command.Flags().StringVar(&login, "login", "", "the login of the account")
	command.Flags().StringVar(&code, "code", "", "the six digits of the second factor, which are good for a minute")
	return command
}

func readPassword() (string, error) {
	if !term.IsTerminal(int(os.Stdin.Fd())) {
		line, err := bufio.NewReader(os.Stdin).ReadString('\n')
		if line = strings.TrimRight(line, "\r\n"); line != "" {
			return line, nil
		}
		return "", err
	}
	fmt.Fprint(os.Stderr, "Password: ")
	text, err := term.ReadPassword(int(os.Stdin.Fd()))
	fmt.Fprintln(os.Stderr)
	return string(text), err
}
