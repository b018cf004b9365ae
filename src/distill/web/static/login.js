// Asks for the password, and opens the page once it is right.
import { post } from "./api.js";

const form = document.getElementById("form");
const wrong = document.getElementById("wrong");

form.addEventListener("submit", async (event) => {
  event.preventDefault();
  const password = document.getElementById("password").value;
  try {
    await post("/login", { password });
    location.reload();
  } catch (error) {
    wrong.textContent = error.message;
    wrong.hidden = false;
  }
});
