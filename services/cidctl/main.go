// Command cidctl is the administrator's command line: records of every kind,
// searches, requests to the desk, the members of the federation, and the store of
// the local server.
package main

import (
	"cidsistem.example/services/platform/cli"
)

func main() {
	root := cli.Root("cidctl", "Look after a registry node or an ufficio comune")
	root.Long = `cidctl speaks to a server of the federation, over the network with a
certificate (--address, --server-id, --cert, --key, --ca), or on the machine of
the server through its local socket (--socket).

Each connection flag can be given in the environment instead: CID_ADDRESS,
CID_SERVER_ID, CID_CERT, CID_KEY, CID_CA, CID_SOCKET. With CID_TOKEN, from
cidctl sign-in, calls are made as that person.

Exit codes: 0, it was done; 1, it was tried and failed; 2, the command line is
wrong, and another try without a change would fail too.`
	var link connection
	link.flags(root.PersistentFlags())
	root.PersistentFlags().VarP(&output, "output", "o", "how answers are written; not given: lists as a table, the rest as YAML")
	root.AddCommand(recordCommands(&link)...)
	root.AddCommand(searchCommand(&link), nodesCommand(&link), storeCommand(&link), auditCommand(&link), personsCommand(&link), requestsCommand(&link), accountsCommand(&link), signInCommand(&link), rulesCommand())
	root.AddCommand(recordsCommand(&link), draftsCommand(&link), correctionsCommand(&link), confirmationsCommand(&link),
		duplicatesCommand(&link), messagesCommand(&link), backupsCommand(&link), importCommand(&link), exportCommand(&link), manCommand(root))
	cli.Main(root)
}
