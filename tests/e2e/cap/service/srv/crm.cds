using { crm } from '../db/schema';

service CrmService @(path: '/odata/v4/crm', requires: 'any') {
  entity users as projection on crm.users;
  entity accounts as projection on crm.accounts;
  entity contacts as projection on crm.contacts;
  entity deals as projection on crm.deals;
  entity samples as projection on crm.samples;
  entity notes as projection on crm.notes;
  entity drafts as projection on crm.drafts;
  entity memos as projection on crm.memos;
  entity activities as projection on crm.activities;
}
