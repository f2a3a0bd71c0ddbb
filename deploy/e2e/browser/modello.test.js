// The cards of all sample services against Modello Comuni, criterion C.SI.1.3: the attributes, in order, for what the record says.
import assert from "node:assert/strict";
import { before, test } from "node:test";
import { browser, look, rest } from "./portal.js";

const held = browser();
const order = ["service-title", "service-status", "service-description", "service-addressed", "service-how-to", "service-needed", "service-achieved", "service-calendar-text", "service-calendar-list", "service-generic-access", "service-file", "service-area", "service-topic"];
let services;

before(async () => {
  const answer = await rest("GET", "/v1/comuni/-/services?pageSize=200");
  services = answer.body.services.filter(({ provenance }) => provenance?.sample);
  assert.ok(services.length >= 10, `only ${services.length} sample services`);
});

const list = (value) => Array.isArray(value) && value.length > 0;

// What a card has to have: all of it, a sentence where the record says nothing, but for what not every service has.
function expected(service) {
  const optional = {
    "service-description": service.summary,
    "service-calendar-list": list(service.deadlines),
    "service-file": list(service.documents),
    "service-topic": list(service.topics),
  };
  return order.filter((name) => !(name in optional) || optional[name]);
}

test("cards have what Modello Comuni asks for, in its order", async () => {
  // As what checks public sites does: the page as it is sent.
  const page = await look(held, { script: false });
  for (const service of services) {
    const [, comune, , id] = service.name.split("/");
    await page.goto(`/servizi/${comune}/${id}`);
    const card = await page.evaluate(() => ({
      elements: [...document.querySelectorAll("main [data-element]")].map(({ dataset, textContent }) => [dataset.element, textContent.trim()]),
      crumbs: document.querySelectorAll('[data-element="breadcrumb"] li').length,
      json: document.querySelector('script[type="application/ld+json"][data-element="metatag"]')?.textContent,
      heading: document.querySelector("h1").dataset.element,
      verified: document.querySelector(".source")?.textContent,
    }));
    const there = card.elements.map(([name]) => name).filter((name, i, all) => order.includes(name) && all.indexOf(name) === i);
    assert.deepEqual(there, expected(service), service.name);
    for (const [name, text] of card.elements) assert.ok(text || name === "breadcrumb", `${name} of ${service.name} is empty`);
    assert.equal(card.heading, "service-title");
    assert.ok(card.crumbs >= 3, `breadcrumb of ${service.name}`);
    const has = (name) => card.elements.some(([element]) => element === name);
    assert.equal(has("service-booking-access"), (service.access ?? []).some(({ bookingRequired }) => bookingRequired), `booking of ${service.name}`);
    assert.equal(has("service-online-access"), (service.access ?? []).some(({ uri }) => uri), `online access of ${service.name}`);
    assert.match(card.verified, /controllat|verificat/i, `when ${service.name} was verified`);

    const linked = JSON.parse(card.json);
    const said = `JSON-LD of ${service.name}`;
    assert.equal(linked["@type"], "GovernmentService", said);
    assert.equal(linked.name, service.title.it, said);
    for (const name of ["url", "serviceType", "inLanguage"]) assert.ok(typeof linked[name] === "string" && linked[name] !== "", `${name} in ${said}`);
    assert.ok(linked.serviceOperator.name, `serviceOperator in ${said}`);
    assert.ok(linked.audience.audienceType, `audience in ${said}`);
    assert.ok(linked.areaServed.every(({ name }) => name), `areaServed in ${said}`);
    assert.ok(linked.availableChannel.length > 0, `availableChannel in ${said}`);
    for (const { serviceUrl, serviceLocation, name } of linked.availableChannel) {
      assert.ok(serviceUrl || serviceLocation?.name || name, `a channel in ${said}`);
      if (serviceLocation?.address) assert.equal(serviceLocation.address["@type"], "PostalAddress", said);
    }
  }
  console.log(`Modello Comuni: ${services.length} cards`);
  page.calm();
  await page.context().close();
});
