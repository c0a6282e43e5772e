namespace crm;

// Foreign keys are columns of their own, so that rows are the same as every other upstream's.
aspect scoped { organization_id: String; app_id: String; }

entity users : scoped {
  key id: String; name: String; email: String; region: String; manager_id: String; password_hash: String;
}
entity accounts : scoped {
  key id: Integer; owner_id: String; name: String; region: String; revenue: Integer; internal_note: String;
  contacts: Association to many contacts on contacts.account = $self;
}
entity contacts : scoped {
  key id: Integer; owner_id: String; accountId: Integer; name: String; email: String; phone: String; birthday: Date;
  region: String; stage: String; national_id: String;
  account: Association to accounts on account.id = accountId;
}
entity deals : scoped {
  key id: Integer; owner_id: String; accountId: Integer; title: String; stage: String; amount: Integer; margin: String;
  account: Association to accounts on account.id = accountId;
}
entity samples : scoped {
  key id: Integer; text: String; word: String; loose: String; number: Decimal; whole: Integer; at: Timestamp; day: Date;
  flag: Boolean; unsaid: String; parentId: Integer;
  parent: Association to samples on parent.id = parentId;
}
entity notes : scoped {
  key id: Integer; owner_id: String; dealId: Integer; label: String; weight: Decimal; rank: Integer; seen_at: Timestamp;
  done: Boolean; region: String; written: String; hidden: String;
  deal: Association to deals on deal.id = dealId;
}
aspect remark : scoped {
  key id: Integer; owner_id: String; written: String; rank: Integer; region: String; hidden: String;
}
entity drafts : remark {}
entity memos : remark {}
entity activities : scoped {
  key id: Integer; owner_id: String; dealId: Integer; kind: String; private: Boolean; body: String;
  deal: Association to deals on deal.id = dealId;
}
