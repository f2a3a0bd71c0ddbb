// Every type of page and every state that a page can be in by its address alone. What needs an act before (a form that was refused,
// a comune that is away) is in the tests of it.
export const pages = [
  { name: "home", path: "/" },
  { name: "results", path: "/servizi/?q=pulmino" },
  { name: "results-narrowed", path: "/servizi/?q=trasporto&comune=marsala&accessibile=1" },
  { name: "results-all", path: "/servizi/" },
  { name: "results-none", path: "/servizi/?q=xyzzyplugh" },
  { name: "card", path: "/servizi/marsala/asacom" },
  { name: "card-criteria", path: "/servizi/marsala/trasporto-disabili" },
  { name: "card-island", path: "/servizi/pantelleria/contributo-cure-fuori-isola" },
  { name: "card-easy", path: "/servizi/marsala/asacom?lettura=facile" },
  { name: "list", path: "/la-mia-lista/?s=marsala%2Fasacom&s=marsala%2Ftrasporto-disabili" },
  { name: "list-empty", path: "/la-mia-lista/" },
  { name: "directory", path: "/chi-opera/" },
  { name: "sign-in", path: "/accesso/" },
  { name: "missing", path: "/non-esiste/", status: 404 },
  { name: "missing-card", path: "/servizi/marsala/non-esiste", status: 404 },
];

export const languages = ["it", "en", "fr", "ar"];
