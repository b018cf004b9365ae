// Asks for the password, and opens the page once it is right.
const form = document.getElementById("form");
const wrong = document.getElementById("wrong");

form.addEventListener("submit", async (event) => {
  event.preventDefault();
  const password = document.getElementById("password").value;
  const answer = await fetch("/login", {
    method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify({ password }),
  });
  if (answer.ok) {
    location.reload();
    return;
  }
  const told = await answer.json();
  wrong.textContent = `${told.what} ${told.fix}`;
  wrong.hidden = false;
});
